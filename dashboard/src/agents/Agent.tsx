// One agent: its name and state, and its panels.

import { useQuery } from "@tanstack/react-query";
import { type ComponentType, lazy, Suspense, useEffect, useRef } from "react";

import type { Schemas, Scope } from "../api/client";
import { Trouble } from "../api/client";
import { agentQuery, useMe } from "../api/queries";
import { Chat } from "../chat/Chat";
import { Failed } from "../Failed";
import { Link } from "../lib/router";
import { cx, Empty, Lines, LinkButton, Notice, Page } from "../ui/basics";
import { StateLine } from "./state";

type Agent = Schemas["Agent"];
type Panel = ComponentType<{ agent: Agent; rest?: string }>;
const panel = (load: () => Promise<Panel>) => lazy(async () => ({ default: await load() }));

const PANELS: { key: string; name: string; needs: Scope; shown: Panel }[] = [
  { key: "", name: "Overview", needs: "agents:read", shown: panel(async () => (await import("./Overview")).Overview) },
  { key: "chat", name: "Chat", needs: "chat:read", shown: ({ agent, rest }) => <Chat key={rest ?? "main"} agent={agent} session={rest ?? "main"} /> },
  { key: "agent", name: "Agent", needs: "agents:read", shown: panel(async () => (await import("./Identity")).Identity) },
  { key: "sandbox", name: "Sandbox", needs: "computer:read", shown: panel(async () => (await import("../sandbox/Sandbox")).Sandbox) },
  { key: "logs", name: "Logs", needs: "computer:read", shown: panel(async () => (await import("../logs/Logs")).Logs) },
  { key: "settings", name: "Settings", needs: "agents:read", shown: panel(async () => (await import("../settings/Settings")).Settings) },
];

function Tabs({ agent, open }: { agent: string; open: string }) {
  const me = useMe();
  const bar = useRef<HTMLElement>(null);
  useEffect(() => {
    // On a phone there are more of them than fit.
    bar.current?.querySelector("[aria-current]")?.scrollIntoView({ inline: "nearest", block: "nearest" });
  }, [open]);
  return (
    <nav ref={bar} aria-label={`Panels of ${agent}`} className="-mb-px flex overflow-x-auto px-2 sm:px-4">
      {PANELS.filter((one) => me.may(one.needs)).map(({ key, name }) => (
        <Link
          key={key} href={`/agents/${agent}${key && `/${key}`}`} aria-current={key === open ? "page" : undefined}
          className={cx("border-b-2 px-3 py-2 text-sm whitespace-nowrap", key === open ? "border-accent font-medium" : "border-transparent text-soft hover:text-text")}
        >
          {name}
        </Link>
      ))}
    </nav>
  );
}

export function AgentPage({ agent: name = "", panel: open = "", rest }: { agent?: string; panel?: string; rest?: string }) {
  const me = useMe();
  const query = useQuery(agentQuery(name));
  const shown = PANELS.find((one) => one.key === open && me.may(one.needs));
  const gone = query.error instanceof Trouble && query.error.status === 404;
  if (query.error && (gone || !query.data)) {
    return (
      <Page title={name}>
        {gone
          ? <Empty title={`There is no agent called ${name}`} action={<LinkButton href="/agents">Go to the agents</LinkButton>}>It may have been deleted or renamed.</Empty>
          : <Notice>{query.error.message}</Notice>}
      </Page>
    );
  }
  const agent = query.data;
  const Shown = shown?.shown;
  return (
    <div className={cx("flex flex-col", open === "chat" && "h-[calc(100dvh-3.25rem)] lg:h-dvh")}>
      <div className="border-b border-line">
        <div className="flex min-h-14 flex-wrap items-center gap-x-4 gap-y-0.5 px-4 pt-2 sm:px-6">
          <h1 className="text-lg font-semibold">{name}</h1>
          {agent ? <StateLine status={agent.status} className="text-sm" /> : <span aria-hidden="true" className="skeleton h-4 w-24" />}
        </div>
        <Tabs agent={name} open={open} />
      </div>
      {!shown && <Empty title="There is no such panel" action={<LinkButton href={`/agents/${name}`}>Go to the overview</LinkButton>} />}
      {shown && !agent && <Lines />}
      {agent && Shown && <Failed key={open}><Suspense fallback={<Lines rows={6} />}><Shown agent={agent} rest={rest} /></Suspense></Failed>}
    </div>
  );
}
