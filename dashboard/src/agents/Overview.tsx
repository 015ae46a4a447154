// An agent at a glance: how it stands and why, what it costs, what comes next.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api, type Schemas, take } from "../api/client";
import { schedulesQuery, usageQuery, useMe } from "../api/queries";
import { ago, capital, cores, count, moment, money, size } from "../lib/format";
import { Link } from "../lib/router";
import { useAct, useNow } from "../lib/use";
import { Badge, Button, Card, Loaded, Notice, OutButton } from "../ui/basics";
import { Confirm } from "../ui/dialog";
import { intend, restart } from "./change";
import { Dot, reason } from "./state";

type Agent = Schemas["Agent"];

function Facts({ rows }: { rows: [string, React.ReactNode][] }) {
  return (
    <dl className="grid grid-cols-[minmax(6.5rem,auto)_1fr] gap-x-4 gap-y-1.5">
      {rows.map(([name, value]) => <div key={name} className="contents"><dt className="text-soft">{name}</dt><dd className="[overflow-wrap:anywhere]">{value}</dd></div>)}
    </dl>
  );
}

function Doing({ agent }: { agent: Agent }) {
  const [asks, setAsks] = useState<"stop" | "restart" | null>(null);
  const act = useAct((intent: "run" | "sleep" | "stop") => intend(agent, intent));
  const stop = useAct(() => intend(agent, "stop"));
  const again = useAct(() => restart(agent));
  const state = agent.status.state;
  const up = state === "running" || state === "starting";
  return (
    <>
      <div className="flex flex-wrap gap-2">
        {state === "asleep" && <Button kind="main" busy={act.busy} onClick={() => void act.run("run")}>Wake</Button>}
        {(state === "stopped" || (state === "faulted" && agent.intent !== "run")) && <Button kind="main" busy={act.busy} onClick={() => void act.run("run")}>Start</Button>}
        {state === "running" && <Button busy={act.busy} onClick={() => void act.run("sleep")}>Sleep</Button>}
        {(up || state === "faulted") && <Button onClick={() => setAsks("restart")}>Restart</Button>}
        {(up || state === "asleep" || state === "faulted") && <Button onClick={() => setAsks("stop")}>Stop</Button>}
      </div>
      <Notice>{act.trouble}</Notice>
      {asks === "stop" && <Confirm title={`Stop ${agent.name}?`} action="Stop it" act={stop} onClose={() => setAsks(null)}>Its processes end. Its files stay. It answers nobody until it is started again.</Confirm>}
      {asks === "restart" && <Confirm title={`Restart ${agent.name}?`} action="Restart it" act={again} onClose={() => setAsks(null)}>Its processes end, and its sandbox is made anew. Its files stay.</Confirm>}
    </>
  );
}

function State({ agent }: { agent: Agent }) {
  const now = useNow(5);
  const me = useMe();
  const why = reason(agent.status);
  const status = agent.status;
  return (
    <Card title="State">
      <div className="grid gap-1">
        <p className="flex items-center gap-2 text-base font-medium"><Dot status={status} />{capital(status.state)}</p>
        {why && <p className={status.state === "faulted" ? "text-bad" : "text-soft"}>{capital(why)}</p>}
        <p className="text-soft">Since <time dateTime={status.since}>{moment(status.since)}</time>, {ago(status.since, now)}</p>
        {status.state === "faulted" && status.retry_at && <p className="text-soft">Tried {status.attempts} times; again {ago(status.retry_at, now)}.</p>}
        {agent.runtime_wake_at && <p className="text-soft">It has planned to be awake {ago(agent.runtime_wake_at, now)}.</p>}
      </div>
      {me.may("agents:write") && <Doing agent={agent} />}
    </Card>
  );
}

function Spend({ agent }: { agent: Agent }) {
  const query = useQuery(usageQuery("day", 30, agent.name));
  return (
    <Card title="Last 30 days" flush>
      <Loaded query={query} rows={3}>
        {(report) => (
          <div className="grid gap-3 p-4">
            <p className="text-2xl font-semibold tabular-nums">{money(report.total.cost_micro_usd)}</p>
            <Facts rows={[
              ["Model calls", count(report.total.calls)],
              ["Input", `${count(report.total.input_tokens)} tokens, ${count(report.total.cached_input_tokens)} of them cached`],
              ["Output", `${count(report.total.output_tokens)} tokens`],
            ]} />
            {report.total.calls_without_price > 0 && <p className="text-xs text-soft">{count(report.total.calls_without_price)} calls have no price that is known, and are not in the sum.</p>}
          </div>
        )}
      </Loaded>
    </Card>
  );
}

function Next({ agent }: { agent: Agent }) {
  const query = useQuery(schedulesQuery(agent.name));
  const now = useNow(30);
  return (
    <Card title="Next" flush>
      <Loaded query={query} rows={2}>
        {(schedules) => {
          const next = schedules.flatMap((one) => (one.enabled && one.upcoming[0] ? [{ name: one.name, at: one.upcoming[0], message: one.message }] : [])).sort((a, b) => a.at.localeCompare(b.at))[0];
          return (
            <div className="grid gap-1 p-4">
              {next
                ? <><p className="font-medium">{next.name} {ago(next.at, now)}</p><p className="text-soft">{moment(next.at)}</p><p className="line-clamp-2">{next.message}</p></>
                : <p className="text-soft">Nothing is planned.</p>}
              <p><Link href={`/agents/${agent.name}/settings`} className="text-accent underline">Schedules</Link></p>
            </div>
          );
        }}
      </Loaded>
    </Card>
  );
}

function Sandbox({ agent }: { agent: Agent }) {
  const asleep = agent.status.state === "asleep" || agent.status.state === "running";
  const memory = useQuery({
    queryKey: ["memory", agent.name, agent.status.state],
    queryFn: () => take(api.GET("/v1/agents/{agent}/memory", { params: { path: { agent: agent.name } } })),
    enabled: asleep, refetchInterval: 10_000, retry: false,
  }).data;
  const ports = useQuery({ queryKey: ["ports", agent.name], queryFn: async () => (await take(api.GET("/v1/agents/{agent}/ports", { params: { path: { agent: agent.name } } }))).items }).data ?? [];
  const pages = ports.filter((port) => port.page || port.built_in);
  const { limits } = agent;
  return (
    <Card title="Sandbox">
      <Facts rows={[
        ["Runtime", agent.runtime],
        ["Model", <>{agent.model}{agent.model.startsWith("demo/") && <> <Badge tone="wait">demo</Badge></>}</>],
        ["Memory", memory ? `${size(memory.resident_bytes)} of ${size(limits.memory_bytes)}${memory.swapped_bytes > 0 ? `, ${size(memory.swapped_bytes)} paged out` : ""}` : `at most ${size(limits.memory_bytes)}`],
        ["CPU", `at most ${cores(limits.cpu_millis)}`],
        ["Disk", `at most ${size(limits.disk_bytes)}`],
        ["Made", moment(agent.created_at)],
      ]} />
      {pages.length > 0 && <div className="flex flex-wrap gap-2">{pages.map((port) => <OutButton key={port.port} href={port.url} target="_blank" rel="noopener">{port.built_in ? "Open its own page" : `Open port ${port.port}`}</OutButton>)}</div>}
    </Card>
  );
}

export function Overview({ agent }: { agent: Agent }) {
  const me = useMe();
  return (
    <div className="mx-auto grid w-full max-w-6xl items-start gap-4 p-4 sm:p-6 md:grid-cols-2">
      <title>{`${agent.name} · Creel`}</title>
      <div className="grid gap-4"><State agent={agent} />{me.may("chat:read") && <Next agent={agent} />}</div>
      <div className="grid gap-4"><Sandbox agent={agent} />{me.may("usage:read") && <Spend agent={agent} />}</div>
    </div>
  );
}
