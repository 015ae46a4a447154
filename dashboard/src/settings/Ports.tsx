// Which of the agent's ports are reached from outside, and by whom.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api, type Schemas, take } from "../api/client";
import { useNames } from "../api/names";
import { client, useMe } from "../api/queries";
import { ago, moment } from "../lib/format";
import { useAct, useNow } from "../lib/use";
import { Badge, Button, Card, Check, Empty, Field, Loaded, Notice, Select } from "../ui/basics";
import { Copy } from "../ui/copy";
import { Confirm, Dialog } from "../ui/dialog";

type Port = Schemas["Port"];

function Publish({ agent, onClose }: { agent: string; onClose: () => void }) {
  const [port, setPort] = useState("");
  const [open, setOpen] = useState(false);
  const [page, setPage] = useState(false);
  const act = useAct(async () => {
    await take(api.PUT("/v1/agents/{agent}/ports/{port}", { params: { path: { agent, port: Number(port) } }, body: { access: open ? "public" : "private", page } }));
    await client.invalidateQueries({ queryKey: ["ports", agent] });
  });
  return (
    <Dialog open onClose={onClose} title="Publish a port">
      <form className="grid gap-3 p-4" onSubmit={async (event) => { event.preventDefault(); if (await act.run()) onClose(); }}>
        <Field label="Port" type="number" required min={1} max={65_535} value={port} onChange={(event) => setPort(event.target.value)} autoFocus hint="Where a program of the agent's listens on loopback." />
        <Check label="Public: anybody may come, without signing in" checked={open} onChange={(event) => setOpen(event.target.checked)} />
        <Check label="It is the agent's page: its name alone leads there" checked={page} onChange={(event) => setPage(event.target.checked)} />
        <Notice>{act.trouble}</Notice>
        <div className="flex justify-end gap-2"><Button onClick={onClose}>Cancel</Button><Button type="submit" kind="main" busy={act.busy}>Publish it</Button></div>
      </form>
    </Dialog>
  );
}

const TIMES: [number, string][] = [[3600, "1 hour"], [86_400, "1 day"], [604_800, "1 week"], [2_592_000, "30 days"], [7_776_000, "90 days"]];

function Share({ agent, port, onClose }: { agent: string; port: number; onClose: () => void }) {
  const [name, setName] = useState("");
  const [seconds, setSeconds] = useState("604800");
  const [url, setUrl] = useState<string | null>(null);
  const act = useAct(async () => {
    const link = await take(api.POST("/v1/agents/{agent}/share-links", { params: { path: { agent } }, body: { port, name, expires_in_seconds: Number(seconds) } }));
    setUrl(link.url);
    await client.invalidateQueries({ queryKey: ["links", agent] });
  });
  return (
    <Dialog open onClose={onClose} title={`Share port ${port}`} firm={url !== null}>
      {url
        ? <div className="grid gap-3 p-4"><p>Whoever has this link may come. It is shown once.</p><Copy text={url} label="Share link" /><div className="flex justify-end"><Button onClick={onClose}>Done</Button></div></div>
        : (
          <form className="grid gap-3 p-4" onSubmit={(event) => { event.preventDefault(); void act.run(); }}>
            <Field label="Whom it is for, for yourself" maxLength={100} value={name} onChange={(event) => setName(event.target.value)} autoFocus />
            <Select label="Good for" value={seconds} onChange={(event) => setSeconds(event.target.value)}>{TIMES.map(([value, title]) => <option key={value} value={value}>{title}</option>)}</Select>
            <Notice>{act.trouble}</Notice>
            <div className="flex justify-end gap-2"><Button onClick={onClose}>Cancel</Button><Button type="submit" kind="main" busy={act.busy}>Make the link</Button></div>
          </form>
        )}
    </Dialog>
  );
}

function Row({ agent, port }: { agent: string; port: Port }) {
  const may = useMe().may("agents:write");
  const [open, setOpen] = useState<"share" | "remove" | null>(null);
  const remove = useAct(async () => {
    await take(api.DELETE("/v1/agents/{agent}/ports/{port}", { params: { path: { agent, port: port.port } } }));
    await client.invalidateQueries({ queryKey: ["ports", agent] });
    await client.invalidateQueries({ queryKey: ["links", agent] });
  });
  return (
    <li className="flex flex-wrap items-center gap-2 px-4 py-2.5">
      <span className="w-14 font-medium tabular-nums">{port.port}</span>
      <span className="flex gap-1"><Badge tone={port.access === "public" ? "wait" : "plain"}>{port.access}</Badge>{port.built_in && <Badge>of the runtime</Badge>}{port.page && <Badge>page</Badge>}</span>
      <a href={port.url} target="_blank" rel="noopener" className="min-w-40 flex-1 text-accent underline [overflow-wrap:anywhere]">{port.url}</a>
      {may && !port.built_in && <Button aria-label={`Share port ${port.port}`} onClick={() => setOpen("share")}>Share</Button>}
      {may && !port.built_in && <Button kind="bad" aria-label={`Unpublish port ${port.port}`} onClick={() => setOpen("remove")}>Unpublish</Button>}
      {open === "share" && <Share agent={agent} port={port.port} onClose={() => setOpen(null)} />}
      {open === "remove" && <Confirm title={`Unpublish port ${port.port}?`} action="Unpublish it" act={remove} onClose={() => setOpen(null)}>Nobody reaches it from outside any more, and its share links end.</Confirm>}
    </li>
  );
}

function Links({ agent }: { agent: string }) {
  const may = useMe().may("agents:write");
  const now = useNow(60);
  const nameOf = useNames();
  const query = useQuery({ queryKey: ["links", agent], queryFn: async () => (await take(api.GET("/v1/agents/{agent}/share-links", { params: { path: { agent } } }))).items });
  const end = useAct(async (link: string) => {
    await take(api.DELETE("/v1/agents/{agent}/share-links/{link}", { params: { path: { agent, link } } }));
    await client.invalidateQueries({ queryKey: ["links", agent] });
  });
  if (!query.data || query.data.length === 0) return null;
  return (
    <div className="border-t border-line">
      <h3 className="px-4 pt-3 text-xs font-medium text-soft">Share links</h3>
      <ul className="divide-y divide-line">
        {query.data.map((link) => (
          <li key={link.id} className="flex flex-wrap items-center gap-3 px-4 py-2">
            <span className="flex-1">{link.name || "without a name"}<span className="block text-xs text-soft">port {link.port}, by {nameOf(link.created_by)}, ends {moment(link.expires_at)} ({ago(link.expires_at, now)})</span></span>
            {may && <Button aria-label={`End the link ${link.name || link.id}`} busy={end.busy} onClick={() => void end.run(link.id)}>End it</Button>}
          </li>
        ))}
      </ul>
      <div className="px-4 pb-3 empty:hidden"><Notice>{end.trouble}</Notice></div>
    </div>
  );
}

export function Ports({ agent }: { agent: Schemas["Agent"] }) {
  const may = useMe().may("agents:write");
  const query = useQuery({ queryKey: ["ports", agent.name], queryFn: async () => (await take(api.GET("/v1/agents/{agent}/ports", { params: { path: { agent: agent.name } } }))).items });
  const [adds, setAdds] = useState(false);
  return (
    <Card title="Ports" flush actions={may && <Button onClick={() => setAdds(true)}>Publish a port</Button>}>
      <Loaded query={query} rows={2}>
        {(ports) => ports.length === 0
          ? <Empty title="No port is published">What the agent's programs serve is reached from outside once its port is published.</Empty>
          : <ul className="divide-y divide-line">{ports.map((port) => <Row key={port.port} agent={agent.name} port={port} />)}</ul>}
      </Loaded>
      {may && <Links agent={agent.name} />}
      {adds && <Publish agent={agent.name} onClose={() => setAdds(false)} />}
    </Card>
  );
}
