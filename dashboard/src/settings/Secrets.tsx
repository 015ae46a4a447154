// Secrets, of an agent or of the org. Their values are shown to nobody.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api, take } from "../api/client";
import { useNames } from "../api/names";
import { client, useMe } from "../api/queries";
import { ago } from "../lib/format";
import { useAct, useNow } from "../lib/use";
import { Area, Button, Card, Empty, Field, Loaded, Notice } from "../ui/basics";
import { Confirm, Dialog } from "../ui/dialog";

function SetSecret({ agent, initial, onClose }: { agent: string | null; initial: string; onClose: () => void }) {
  const [name, setName] = useState(initial);
  const [value, setValue] = useState("");
  const act = useAct(async () => {
    if (agent) await take(api.PUT("/v1/agents/{agent}/secrets/{secret}", { params: { path: { agent, secret: name } }, body: { value } }));
    else await take(api.PUT("/v1/secrets/{secret}", { params: { path: { secret: name } }, body: { value } }));
    await client.invalidateQueries({ queryKey: ["secrets", agent] });
  });
  return (
    <Dialog open onClose={onClose} title={initial ? `New value for ${initial}` : "New secret"}>
      <form className="grid gap-3 p-4" onSubmit={async (event) => { event.preventDefault(); if (await act.run()) onClose(); }}>
        {!initial && <Field label="Name" required value={name} onChange={(event) => setName(event.target.value)} placeholder="OPENAI_KEY" autoComplete="off" autoCapitalize="characters" spellCheck={false} autoFocus />}
        <Area label="Value" required mono rows={3} value={value} onChange={(event) => setValue(event.target.value)} autoComplete="off" spellCheck={false} hint="It is kept sealed and shown to nobody, you included." />
        <Notice>{act.trouble}</Notice>
        <div className="flex justify-end gap-2"><Button onClick={onClose}>Cancel</Button><Button type="submit" kind="main" busy={act.busy}>Keep it</Button></div>
      </form>
    </Dialog>
  );
}

/** `agent` null: the org's. */
export function Secrets({ agent }: { agent: string | null }) {
  const may = useMe().may("secrets:write");
  const now = useNow(60);
  const name = useNames();
  const query = useQuery({
    queryKey: ["secrets", agent],
    queryFn: async () => (agent ? await take(api.GET("/v1/agents/{agent}/secrets", { params: { path: { agent } } })) : await take(api.GET("/v1/secrets"))).items,
  });
  const [open, setOpen] = useState<{ what: "set" | "remove"; name: string } | null>(null);
  const close = () => setOpen(null);
  const remove = useAct(async () => {
    const secret = open?.name ?? "";
    if (agent) await take(api.DELETE("/v1/agents/{agent}/secrets/{secret}", { params: { path: { agent, secret } } }));
    else await take(api.DELETE("/v1/secrets/{secret}", { params: { path: { secret } } }));
    await client.invalidateQueries({ queryKey: ["secrets", agent] });
  });
  return (
    <Card title="Secrets" flush actions={may && <Button onClick={() => setOpen({ what: "set", name: "" })}>New secret</Button>}>
      <Loaded query={query} rows={2}>
        {(secrets) => secrets.length === 0
          ? <Empty title="There are no secrets">{agent ? "A secret of the agent's stands before one of the org's of the same name, and goes with the agent." : "Providers take their keys from here by name."}</Empty>
          : (
            <ul className="divide-y divide-line">
              {secrets.map((secret) => (
                <li key={secret.name} className="flex flex-wrap items-center gap-2 px-4 py-2.5">
                  <span className="min-w-40 flex-1"><code className="font-medium">{secret.name}</code><span className="block text-xs text-soft">version {secret.version}, changed {ago(secret.changed_at, now)} by {name(secret.changed_by)}</span></span>
                  {may && <Button aria-label={`New value for ${secret.name}`} onClick={() => setOpen({ what: "set", name: secret.name })}>New value</Button>}
                  {may && <Button kind="bad" aria-label={`Remove ${secret.name}`} onClick={() => setOpen({ what: "remove", name: secret.name })}>Remove</Button>}
                </li>
              ))}
            </ul>
          )}
      </Loaded>
      {open?.what === "set" && <SetSecret agent={agent} initial={open.name} onClose={close} />}
      {open?.what === "remove" && <Confirm title={`Remove ${open.name}?`} action="Remove it" act={remove} onClose={close}>What uses it stops working. Its value cannot be brought back.</Confirm>}
    </Card>
  );
}
