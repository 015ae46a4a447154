// All agents of the org, with how each stands.

import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { agentsQuery, useMe } from "../api/queries";
import { ago, moment } from "../lib/format";
import { Link, navigate } from "../lib/router";
import { useNow } from "../lib/use";
import { Badge, Card, Empty, INPUT, LinkButton, Lines, Notice, Page } from "../ui/basics";
import { Icon } from "../ui/icons";
import { type Column, Table } from "../ui/table";
import type { Schemas } from "../api/client";
import { StateLine } from "./state";

type Agent = Schemas["Agent"];

/** A list longer than this can be searched. */
const SEARCHED_FROM = 8;
/** Somebody has been sent to the wizard in this tab: they may leave it. */
const GREETED = "creel-greeted";

const columns = (now: number): Column<Agent>[] => [
  {
    name: "Name",
    cell: (agent) => (
      <Link href={`/agents/${agent.name}/chat`} className="font-medium text-accent hover:underline">{agent.name}</Link>
    ),
  },
  { name: "State", cell: (agent) => <StateLine status={agent.status} className="max-w-80" /> },
  { name: "Since", wide: true, cell: (agent) => <time dateTime={agent.status.since} title={moment(agent.status.since)} className="text-soft">{ago(agent.status.since, now)}</time> },
  { name: "Runtime", wide: true, cell: (agent) => agent.runtime },
  { name: "Model", wide: true, cell: (agent) => <>{agent.model}{agent.model.startsWith("demo/") && <> <Badge tone="wait">demo</Badge></>}</> },
  {
    name: "More", mute: true, end: true,
    cell: (agent) => <Link href={`/agents/${agent.name}`} aria-label={`Overview of ${agent.name}`} className="text-soft hover:text-text hover:underline">Overview</Link>,
  },
];

export function Agents() {
  const me = useMe();
  const agents = useQuery(agentsQuery);
  const now = useNow(10);
  const [text, setText] = useState("");
  const may = me.may("agents:write");
  const none = agents.data?.length === 0;
  useEffect(() => {
    if (!none || !may || sessionStorage.getItem(GREETED)) return;
    sessionStorage.setItem(GREETED, "yes");
    navigate("/new", { replace: true });
  }, [none, may]);
  const found = agents.data?.filter((agent) => `${agent.name} ${agent.status.state} ${agent.runtime} ${agent.model}`.includes(text.trim().toLowerCase()));
  return (
    <Page title="Agents" actions={may && <LinkButton kind="main" href="/new"><Icon name="plus" />New agent</LinkButton>}>
      {agents.data && agents.data.length >= SEARCHED_FROM && (
        <input type="search" aria-label="Search agents" placeholder="Name, state, runtime or model" value={text} onChange={(event) => setText(event.target.value)} className={`${INPUT} max-w-sm`} />
      )}
      <Card flush>
        {agents.error && !agents.data && <div className="p-4"><Notice>{agents.error.message}</Notice></div>}
        {!agents.data && !agents.error && <Lines rows={6} />}
        {found && found.length > 0 && <Table label="Agents" columns={columns(now)} items={found} rowKey={(agent) => agent.id} />}
        {none && (
          <Empty title="There are no agents yet" action={may && <LinkButton kind="main" href="/new">Make the first one</LinkButton>}>
            {may ? "Each agent gets a sandbox of its own. The first one answers in seconds and needs no key." : "Ask an admin of this org for the role of a developer, who makes agents."}
          </Empty>
        )}
        {found?.length === 0 && !none && <Empty title="Nothing fits">No agent is called so, or stands so.</Empty>}
      </Card>
    </Page>
  );
}
