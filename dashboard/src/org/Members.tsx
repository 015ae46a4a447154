// Who is in the org, and who is invited.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api, type Schemas, take } from "../api/client";
import { membersQuery } from "../api/names";
import { client, useMe } from "../api/queries";
import { ago, day } from "../lib/format";
import { useAct, useNow } from "../lib/use";
import { Badge, Button, Card, Field, INPUT, Loaded, Notice, Page, Select } from "../ui/basics";
import { Copy } from "../ui/copy";
import { Confirm, Dialog } from "../ui/dialog";
import { Table } from "../ui/table";

type Role = Schemas["MemberRole"];
type Member = Schemas["Member"];

const ROLES: [Role, string][] = [
  ["viewer", "Sees, and changes nothing."],
  ["developer", "Makes agents and works with them."],
  ["admin", "Everything but what concerns owners."],
  ["owner", "Everything. An org has at least one."],
];

/** As the API has it: an owner gives any role, an admin any but that of an owner. */
const grants = (mine: Role) => ROLES.map(([role]) => role).filter((role) => mine === "owner" || (mine === "admin" && role !== "owner"));

function Invite({ onClose }: { onClose: () => void }) {
  const me = useMe();
  const [email, setEmail] = useState("");
  const [role, setRole] = useState<Role>("developer");
  const [made, setMade] = useState<{ code: string | null; email: string } | null>(null);
  const act = useAct(async () => {
    const invitation = await take(api.POST("/v1/invitations", { body: { role, ...(email.trim() && { email: email.trim() }) } }));
    setMade({ code: invitation.code ?? null, email: email.trim() });
    await client.invalidateQueries({ queryKey: ["invitations"] });
  });
  return (
    <Dialog open onClose={onClose} title="Invite somebody" firm={made !== null}>
      {made
        ? (
          <div className="grid gap-3 p-4">
            {made.code
              ? <><p>Whoever opens this link joins the org. It is good for one person and is shown once.</p><Copy text={`${location.origin}/#join=${made.code}`} label="Link of the invitation" /></>
              : <p>A mail with a link is on its way to {made.email}.</p>}
            <div className="flex justify-end"><Button onClick={onClose}>Done</Button></div>
          </div>
        )
        : (
          <form className="grid gap-3 p-4" onSubmit={(event) => { event.preventDefault(); void act.run(); }}>
            <Field label="E-mail address, if a mail should be sent" type="email" maxLength={254} value={email} onChange={(event) => setEmail(event.target.value)} autoComplete="off" autoFocus hint="Without one you get a link to pass on." />
            <Select label="Role" value={role} onChange={(event) => setRole(event.target.value as Role)} hint={ROLES.find(([one]) => one === role)?.[1]}>
              {grants(me.role).map((one) => <option key={one} value={one}>{one}</option>)}
            </Select>
            <Notice>{act.trouble}</Notice>
            <div className="flex justify-end gap-2"><Button onClick={onClose}>Cancel</Button><Button type="submit" kind="main" busy={act.busy}>Invite</Button></div>
          </form>
        )}
    </Dialog>
  );
}

function RoleOf({ member, change }: { member: Member; change: (role: Role) => void }) {
  const me = useMe();
  const mine = grants(me.role);
  if (!me.may("members:write") || !mine.includes(member.role)) return <>{member.role}</>;
  return (
    <select aria-label={`Role of ${member.name}`} value={member.role} onChange={(event) => change(event.target.value as Role)} className={`${INPUT} w-auto! min-h-8 py-0`}>
      {mine.map((role) => <option key={role} value={role}>{role}</option>)}
    </select>
  );
}

function Invitations() {
  const me = useMe();
  const now = useNow(60);
  const query = useQuery({ queryKey: ["invitations"], queryFn: async () => (await take(api.GET("/v1/invitations"))).items });
  const revoke = useAct(async (invitation: string) => {
    await take(api.DELETE("/v1/invitations/{invitation}", { params: { path: { invitation } } }));
    await client.invalidateQueries({ queryKey: ["invitations"] });
  });
  return (
    <Card title="Invitations" flush>
      <Loaded query={query} rows={1}>
        {(items) => items.length === 0 ? <p className="p-4 text-soft">Nobody is invited at the moment.</p> : (
          <Table
            label="Invitations" items={items} rowKey={(item) => item.id}
            columns={[
              { name: "For", cell: (item) => item.email ?? "whoever has the link" },
              { name: "Role", cell: (item) => item.role },
              { name: "Ends", wide: true, cell: (item) => ago(item.expires_at, now) },
              ...(me.may("members:write") ? [{ name: "Do", mute: true, end: true, cell: (item: Schemas["Invitation"]) => <Button aria-label={`Revoke the invitation of ${item.email ?? "whoever has the link"}`} busy={revoke.busy} onClick={() => void revoke.run(item.id)}>Revoke</Button> }] : []),
            ]}
          />
        )}
      </Loaded>
      {revoke.trouble && <div className="p-4 pt-0"><Notice>{revoke.trouble}</Notice></div>}
    </Card>
  );
}

export function Members() {
  const me = useMe();
  const query = useQuery(membersQuery);
  const [open, setOpen] = useState<"invite" | "leave" | Member | null>(null);
  const close = () => setOpen(null);
  const may = me.may("members:write");
  const change = useAct(async (user: string, role: Role) => {
    await take(api.PATCH("/v1/members/{user}", { params: { path: { user } }, body: { role } }));
    await client.invalidateQueries(membersQuery);
    if (user === me.user) await client.invalidateQueries({ queryKey: ["me"] });
  });
  const remove = useAct(async () => {
    if (open === null || typeof open === "string") return;
    await take(api.DELETE("/v1/members/{user}", { params: { path: { user: open.user } } }));
    await client.invalidateQueries(membersQuery);
  });
  const leave = useAct(async () => {
    await take(api.POST("/v1/leave"));
    location.assign("/");
  });
  return (
    <Page title="Members" lead={`Of the org ${me.org_name}. Your role is ${me.role}.`} actions={may && <Button kind="main" onClick={() => setOpen("invite")}>Invite somebody</Button>}>
      <Notice>{change.trouble}</Notice>
      <Card flush>
        <Loaded query={query} rows={3}>
          {(members) => (
            <Table
              label="Members" items={members} rowKey={(member) => member.user}
              columns={[
                { name: "Name", cell: (member) => <span className="font-medium">{member.name}{member.user === me.user && <> <Badge>you</Badge></>}</span> },
                { name: "Role", cell: (member) => <RoleOf member={member} change={(role) => void change.run(member.user, role)} /> },
                { name: "Since", wide: true, cell: (member) => <span className="text-soft">{day(member.created_at)}</span> },
                {
                  name: "Do", mute: true, end: true,
                  cell: (member) => member.user === me.user
                    ? <Button onClick={() => setOpen("leave")}>Leave</Button>
                    : may && grants(me.role).includes(member.role) && <Button aria-label={`Remove ${member.name}`} onClick={() => setOpen(member)}>Remove</Button>,
                },
              ]}
            />
          )}
        </Loaded>
      </Card>
      <Invitations />
      {open === "invite" && <Invite onClose={close} />}
      {open === "leave" && <Confirm title={`Leave ${me.org_name}?`} action="Leave" act={leave} onClose={close}>You no longer see anything of this org, and your tokens for it end.</Confirm>}
      {open !== null && typeof open !== "string" && <Confirm title={`Remove ${open.name}?`} action="Remove" act={remove} onClose={close}>They are out at once, and their tokens end.</Confirm>}
    </Page>
  );
}

