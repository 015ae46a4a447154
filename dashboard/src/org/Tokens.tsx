// What speaks for members without them: API tokens and paired devices.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { Scopes } from "../account/Scopes";
import { api, type Schemas, type Scope, take } from "../api/client";
import { useNames } from "../api/names";
import { client, useMe } from "../api/queries";
import { ago, day } from "../lib/format";
import { useAct, useNow } from "../lib/use";
import { Button, Card, Check, Empty, Field, LinkButton, Loaded, Notice, Page, Select } from "../ui/basics";
import { Copy } from "../ui/copy";
import { Confirm, Dialog } from "../ui/dialog";
import { Table } from "../ui/table";

const DAY = 86_400;
const ENDS: [string, string][] = [["30", "30 days"], ["90", "90 days"], ["365", "1 year"], ["", "Until it is revoked"]];

function New({ onClose }: { onClose: () => void }) {
  const me = useMe();
  const [name, setName] = useState("");
  const [days, setDays] = useState("90");
  const [all, setAll] = useState(false);
  const [scopes, setScopes] = useState<Scope[]>(me.scopes.filter((scope) => scope.endsWith(":read")));
  const [secret, setSecret] = useState<string | null>(null);
  const act = useAct(async () => {
    const body = { name, ...(!all && { scopes }), ...(days && { expires_in_seconds: Number(days) * DAY }) };
    const token = await take(api.POST("/v1/tokens", { body }));
    setSecret(token.secret);
    await client.invalidateQueries({ queryKey: ["tokens"] });
  });
  return (
    <Dialog open onClose={onClose} title="New token" firm={secret !== null}>
      {secret
        ? <div className="grid gap-3 p-4"><p>Keep it: it is shown this once.</p><Copy text={secret} label="Token" /><div className="flex justify-end"><Button onClick={onClose}>Done</Button></div></div>
        : (
          <form className="grid gap-3 p-4" onSubmit={(event) => { event.preventDefault(); void act.run(); }}>
            <Field label="Name, to tell it from others" required maxLength={100} value={name} onChange={(event) => setName(event.target.value)} autoComplete="off" placeholder="deploy" autoFocus />
            <Select label="Good for" value={days} onChange={(event) => setDays(event.target.value)}>{ENDS.map(([value, title]) => <option key={value} value={value}>{title}</option>)}</Select>
            <Check label="All that you may, now and later" checked={all} onChange={(event) => setAll(event.target.checked)} />
            {!all && <Scopes mine={me.scopes} chosen={scopes} choose={setScopes} />}
            <Notice>{act.trouble}</Notice>
            <div className="flex justify-end gap-2"><Button onClick={onClose}>Cancel</Button><Button type="submit" kind="main" busy={act.busy} disabled={!all && scopes.length === 0}>Make it</Button></div>
          </form>
        )}
    </Dialog>
  );
}

function May({ scopes }: { scopes?: Scope[] | null }) {
  if (!scopes) return <>all that its owner may</>;
  return <span className="line-clamp-2" title={scopes.join(", ")}>{scopes.join(", ")}</span>;
}

interface Kept {
  id: string;
  name: string;
  user: string;
  created_at: string;
  expires_at?: string | null;
  last_used_at?: string | null;
  scopes?: Scope[] | null;
}

function List<T extends Kept>({ label, items, verb, remove }: { label: string; items: T[]; verb: string; remove: (item: T) => void }) {
  const me = useMe();
  const name = useNames();
  const now = useNow(60);
  return (
    <Table
      label={label} items={items} rowKey={(item) => item.id}
      columns={[
        { name: "Name", cell: (item) => <span className="font-medium">{item.name}</span> },
        { name: "Of", wide: true, cell: (item) => name(item.user) },
        { name: "May", wide: true, cell: (item) => <span className="block max-w-72 text-soft"><May scopes={item.scopes} /></span> },
        { name: "Used", cell: (item) => <span className="text-soft">{item.last_used_at ? ago(item.last_used_at, now) : "never"}</span> },
        { name: "Ends", wide: true, cell: (item) => <span className="text-soft">{item.expires_at ? day(item.expires_at) : "when revoked"}</span> },
        { name: "Do", mute: true, end: true, cell: (item) => (item.user === me.user || me.may("members:write")) && <Button aria-label={`${verb} ${item.name}`} onClick={() => remove(item)}>{verb}</Button> },
      ]}
    />
  );
}

function Devices() {
  const query = useQuery({ queryKey: ["devices"], queryFn: async () => (await take(api.GET("/v1/devices"))).items });
  const [open, setOpen] = useState<Schemas["Device"] | null>(null);
  const remove = useAct(async () => {
    if (!open) return;
    await take(api.DELETE("/v1/devices/{device}", { params: { path: { device: open.id } } }));
    await client.invalidateQueries({ queryKey: ["devices"] });
  });
  return (
    <Card title="Devices" flush actions={<LinkButton href="/device">Let a device in</LinkButton>}>
      <Loaded query={query} rows={2}>
        {(items) => items.length === 0
          ? <Empty title="No device is paired"><code>creel pair</code> on another computer shows a code; with it the device is let in here.</Empty>
          : <List label="Devices" items={items} verb="Remove" remove={setOpen} />}
      </Loaded>
      {open && <Confirm title={`Remove ${open.name}?`} action="Remove" act={remove} onClose={() => setOpen(null)}>It is out at once. To come back it has to be let in again.</Confirm>}
    </Card>
  );
}

export function Tokens() {
  const query = useQuery({ queryKey: ["tokens"], queryFn: async () => (await take(api.GET("/v1/tokens"))).items });
  const [open, setOpen] = useState<"new" | Schemas["Token"] | null>(null);
  const revoke = useAct(async () => {
    if (open === null || open === "new") return;
    await take(api.DELETE("/v1/tokens/{token}", { params: { path: { token: open.id } } }));
    await client.invalidateQueries({ queryKey: ["tokens"] });
  });
  return (
    <Page title="Tokens and devices" actions={<Button kind="main" onClick={() => setOpen("new")}>New token</Button>}>
      <Card title="Tokens" flush>
        <Loaded query={query} rows={3}>
          {(items) => items.length === 0
            ? <Empty title="There are no tokens">Programs speak to the API with one.</Empty>
            : <List label="Tokens" items={items} verb="Revoke" remove={setOpen} />}
        </Loaded>
      </Card>
      <Devices />
      {open === "new" && <New onClose={() => setOpen(null)} />}
      {open !== null && open !== "new" && <Confirm title={`Revoke ${open.name}?`} action="Revoke" act={revoke} onClose={() => setOpen(null)}>What uses it is refused at once, and what it opened ends within seconds.</Confirm>}
    </Page>
  );
}
