// Who runs the platform.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api, type Schemas, take } from "../api/client";
import { client, useMe } from "../api/queries";
import { useAct } from "../lib/use";
import { Badge, Button, Card, Field, Loaded, Notice, Page } from "../ui/basics";
import { Confirm } from "../ui/dialog";
import { Table } from "../ui/table";

export function Operators() {
  const me = useMe();
  const query = useQuery({ queryKey: ["operators"], queryFn: async () => (await take(api.GET("/v1/operators"))).items, retry: false });
  const [email, setEmail] = useState("");
  const [open, setOpen] = useState<Schemas["Operator"] | null>(null);
  const refresh = () => client.invalidateQueries({ queryKey: ["operators"] });
  const add = useAct(async () => {
    await take(api.POST("/v1/operators", { body: { email: email.trim() } }));
    setEmail("");
    await refresh();
  });
  const remove = useAct(async () => {
    if (!open) return;
    await take(api.DELETE("/v1/operators/{user}", { params: { path: { user: open.user } } }));
    await refresh();
  });
  return (
    <Page title="Operators" narrow lead="They see the host and all orgs. For what concerns others they need a second factor.">
      <Card flush>
        <Loaded query={query} rows={2}>
          {(items) => (
            <Table
              label="Operators" items={items} rowKey={(one) => one.user}
              columns={[
                { name: "Name", cell: (one) => <span className="font-medium">{one.name}{one.user === me.user && <> <Badge>you</Badge></>}</span> },
                { name: "Address", wide: true, cell: (one) => one.email ?? "" },
                { name: "Second factor", cell: (one) => (one.second_factor ? <Badge tone="good">yes</Badge> : <Badge tone="wait">none</Badge>) },
                { name: "Do", mute: true, end: true, cell: (one) => <Button aria-label={`Remove ${one.name}`} onClick={() => setOpen(one)}>Remove</Button> },
              ]}
            />
          )}
        </Loaded>
      </Card>
      <Card title="Add an operator">
        <form className="grid gap-3" onSubmit={(event) => { event.preventDefault(); void add.run(); }}>
          <Field label="E-mail address" type="email" required maxLength={254} value={email} onChange={(event) => setEmail(event.target.value)} autoComplete="off" hint="Of somebody who has an account here and has confirmed the address." />
          <Notice>{add.trouble}</Notice>
          <div><Button type="submit" busy={add.busy}>Add</Button></div>
        </form>
      </Card>
      {open && <Confirm title={`Remove ${open.name}?`} action="Remove" act={remove} onClose={() => setOpen(null)}>They no longer run the platform. What they are in orgs stays.</Confirm>}
    </Page>
  );
}
