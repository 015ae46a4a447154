// What the agent is told by the clock.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api, type Schemas, take } from "../api/client";
import { client, schedulesQuery, useMe } from "../api/queries";
import { ago, moment } from "../lib/format";
import { useAct, useNow } from "../lib/use";
import { Area, Badge, Button, Card, Empty, Field, Loaded, Notice, Select, type Tone } from "../ui/basics";
import { Confirm, Dialog } from "../ui/dialog";
import { Menu, MenuItem } from "../ui/menu";
import { EMPTY, type Form, told, when } from "./when";

type Schedule = Schemas["Schedule"];
type Run = Schemas["ScheduleRun"];

const TONES: Record<Run["state"], Tone> = { running: "wait", done: "good", failed: "bad", cancelled: "plain", skipped: "plain", missed: "wait" };

function Preview({ form }: { form: Form }) {
  const wanted = when(form);
  const query = useQuery({
    queryKey: ["preview", wanted], enabled: wanted !== null, retry: false, gcTime: 60_000,
    queryFn: async () => (await take(api.POST("/v1/schedules/preview", { body: { when: wanted as Schemas["When"], count: 3 } }))).times,
  });
  return (
    <div className="min-h-10 text-xs" aria-live="polite">
      {query.error && <p className="text-bad">{query.error.message}</p>}
      {query.data && <p className="text-soft">{query.data.length > 0 ? `Next: ${query.data.map(moment).join("; ")}` : "It never comes."}</p>}
    </div>
  );
}

function New({ agent, onClose }: { agent: string; onClose: () => void }) {
  const [name, setName] = useState("");
  const [message, setMessage] = useState("");
  const [form, setForm] = useState<Form>(EMPTY);
  const set = (part: Partial<Form>) => setForm({ ...form, ...part });
  const act = useAct(async () => {
    const wanted = when(form);
    if (!wanted) throw new Error("Say when.");
    await take(api.POST("/v1/agents/{agent}/schedules", { params: { path: { agent } }, body: { name, message, when: wanted } }));
    await client.invalidateQueries({ queryKey: ["schedules", agent] });
  });
  return (
    <Dialog open onClose={onClose} title="New schedule">
      <form className="grid gap-3 p-4" onSubmit={async (event) => { event.preventDefault(); if (await act.run()) onClose(); }}>
        <Field label="Name" required maxLength={40} value={name} onChange={(event) => setName(event.target.value)} placeholder="daily-report" autoComplete="off" autoCapitalize="none" spellCheck={false} autoFocus hint="a-z, 0-9 and -" />
        <Area label="What it is told" required rows={3} value={message} onChange={(event) => setMessage(event.target.value)} placeholder="Write the report" />
        <Select label="When" value={form.kind} onChange={(event) => set({ kind: event.target.value as Form["kind"] })}>
          <option value="cron">By the calendar</option><option value="every">Every so often</option><option value="at">Once</option>
        </Select>
        {form.kind === "cron" && (
          <div className="grid gap-3 sm:grid-cols-2">
            <Field label="Minute hour day month weekday" required value={form.expr} onChange={(event) => set({ expr: event.target.value })} autoComplete="off" spellCheck={false} />
            <Field label="Time zone" value={form.zone} onChange={(event) => set({ zone: event.target.value })} autoComplete="off" spellCheck={false} />
          </div>
        )}
        {form.kind === "every" && <Field label="Minutes" type="number" required min={1} step="any" value={form.minutes} onChange={(event) => set({ minutes: event.target.value })} />}
        {form.kind === "at" && <Field label="Day and time" type="datetime-local" required value={form.at} onChange={(event) => set({ at: event.target.value })} />}
        <Preview form={form} />
        <Notice>{act.trouble}</Notice>
        <div className="flex justify-end gap-2"><Button onClick={onClose}>Cancel</Button><Button type="submit" kind="main" busy={act.busy}>Add it</Button></div>
      </form>
    </Dialog>
  );
}

function Runs({ agent, schedule, onClose }: { agent: string; schedule: Schedule; onClose: () => void }) {
  const query = useQuery({
    queryKey: ["runs", agent, schedule.id],
    queryFn: async () => (await take(api.GET("/v1/agents/{agent}/schedules/{schedule}/runs", { params: { path: { agent, schedule: schedule.id } } }))).items,
  });
  return (
    <Dialog open onClose={onClose} title={`Runs of ${schedule.name}`}>
      <Loaded query={query}>
        {(runs) => runs.length === 0 ? <Empty title="It has not run yet" /> : (
          <ul className="divide-y divide-line">
            {runs.map((run) => (
              <li key={run.id} className="grid gap-0.5 px-4 py-2">
                <p className="flex items-center gap-2"><Badge tone={TONES[run.state]}>{run.state}</Badge>{moment(run.at)}{!run.planned_at && <span className="text-soft">by hand</span>}</p>
                {(run.detail ?? run.failure?.message) && <p className="text-soft">{run.detail ?? run.failure?.message}</p>}
              </li>
            ))}
          </ul>
        )}
      </Loaded>
      <div className="flex justify-end p-4"><Button onClick={onClose}>Close</Button></div>
    </Dialog>
  );
}

function Row({ agent, schedule }: { agent: string; schedule: Schedule }) {
  const may = useMe().may("chat:write");
  const now = useNow(30);
  const [open, setOpen] = useState<"runs" | "remove" | null>(null);
  const path = { agent, schedule: schedule.id };
  const refresh = () => client.invalidateQueries({ queryKey: ["schedules", agent] });
  const turn = useAct(async () => {
    await take(api.PATCH("/v1/agents/{agent}/schedules/{schedule}", { params: { path, header: { "If-Match": "*" } }, body: { enabled: !schedule.enabled } }));
    await refresh();
  });
  const run = useAct(async () => {
    await take(api.POST("/v1/agents/{agent}/schedules/{schedule}/run", { params: { path } }));
    await refresh();
  });
  const remove = useAct(async () => {
    await take(api.DELETE("/v1/agents/{agent}/schedules/{schedule}", { params: { path } }));
    await refresh();
  });
  const next = schedule.upcoming[0];
  return (
    <li className="flex flex-wrap items-start gap-3 px-4 py-3">
      <div className="grid min-w-48 flex-1 gap-0.5">
        <p className="flex flex-wrap items-center gap-2 font-medium">{schedule.name}{!schedule.enabled && <Badge>paused</Badge>}{schedule.last_run && <Badge tone={TONES[schedule.last_run.state]}>last {schedule.last_run.state}</Badge>}</p>
        <p className="text-soft">{told(schedule.when)}{schedule.enabled && next && `; next ${ago(next, now)}`}</p>
        <p className="line-clamp-2 [overflow-wrap:anywhere]">{schedule.message}</p>
        <Notice>{turn.trouble ?? run.trouble}</Notice>
      </div>
      <Button onClick={() => setOpen("runs")} aria-label={`Runs of ${schedule.name}`}>Runs</Button>
      {may && (
        <Menu trigger={<Button kind="quiet" aria-label={`More for ${schedule.name}`} busy={turn.busy || run.busy}>…</Button>}>
          <MenuItem onSelect={() => void run.run()}>Run it now</MenuItem>
          <MenuItem onSelect={() => void turn.run()}>{schedule.enabled ? "Pause it" : "Resume it"}</MenuItem>
          <MenuItem bad onSelect={() => setOpen("remove")}>Remove it</MenuItem>
        </Menu>
      )}
      {open === "runs" && <Runs agent={agent} schedule={schedule} onClose={() => setOpen(null)} />}
      {open === "remove" && <Confirm title={`Remove ${schedule.name}?`} action="Remove it" act={remove} onClose={() => setOpen(null)}>The agent is no longer told so. Its history of runs goes as well.</Confirm>}
    </li>
  );
}

export function Schedules({ agent }: { agent: string }) {
  const may = useMe().may("chat:write");
  const query = useQuery(schedulesQuery(agent));
  const [adds, setAdds] = useState(false);
  return (
    <Card title="Schedules" flush actions={may && <Button onClick={() => setAdds(true)}>New schedule</Button>}>
      <Loaded query={query} rows={2}>
        {(schedules) => schedules.length === 0
          ? <Empty title="There are no schedules">A schedule tells the agent something by the clock, also while it sleeps.</Empty>
          : <ul className="divide-y divide-line">{schedules.map((schedule) => <Row key={schedule.id} agent={agent} schedule={schedule} />)}</ul>}
      </Loaded>
      {adds && <New agent={agent} onClose={() => setAdds(false)} />}
    </Card>
  );
}
