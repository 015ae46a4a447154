// What an agent is: who it is told to be, what answers for it, what it may use, when it sleeps.

import { useQuery } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useId, useState } from "react";

import type { Schemas } from "../api/client";
import { providersQuery, useMe } from "../api/queries";
import { useAct } from "../lib/use";
import { Area, Button, Card, Check, Field, Notice, Select } from "../ui/basics";
import { change } from "./change";

type Agent = Schemas["Agent"];

const MIB = 1024 ** 2;

/** A card that saves its fields as one change; its own copy holds until then. */
function Editor<T extends object>({ agent, title, now, body, children }: { agent: Agent; title: string; now: T; body: (edited: T) => Schemas["PatchAgent"]; children: (value: T, set: (part: Partial<T>) => void) => ReactNode }) {
  const me = useMe();
  const [edited, setEdited] = useState<T | null>(null);
  const [from, setFrom] = useState<Agent | null>(null);
  const value = edited ?? now;
  const act = useAct(async () => {
    // Against the revision that was being edited, not one that came meanwhile.
    await change(from ?? agent, body(value));
    setEdited(null);
    setFrom(null);
  });
  const set = (part: Partial<T>) => {
    if (!from) setFrom(agent);
    setEdited({ ...value, ...part });
  };
  const drop = () => {
    setEdited(null);
    setFrom(null);
    act.clear();
  };
  const may = me.may("agents:write");
  const send = (event: FormEvent) => {
    event.preventDefault();
    void act.run();
  };
  return (
    <Card title={title}>
      <form onSubmit={send}>
        <fieldset disabled={!may} className="grid gap-3">
          <legend className="sr-only">{title}</legend>
          {children(value, set)}
          <Notice>{act.trouble}</Notice>
          {may && (
            <div className="flex gap-2">
              <Button type="submit" kind="main" busy={act.busy} disabled={!edited}>Save</Button>
              <Button kind="quiet" disabled={!edited} onClick={drop}>Drop changes</Button>
            </div>
          )}
        </fieldset>
      </form>
    </Card>
  );
}

const FILES: ["soul" | "identity" | "user", string, string][] = [
  ["soul", "SOUL.md", "How it is: its manner, its values."],
  ["identity", "IDENTITY.md", "Who it is: its name, what it is for."],
  ["user", "USER.md", "Whom it works for."],
];

function Files({ agent }: { agent: Agent }) {
  const { soul = "", identity = "", user = "" } = agent.files;
  return (
    <Editor agent={agent} title="Who it is" now={{ soul, identity, user }} body={(files) => ({ files })}>
      {(value, set) => FILES.map(([key, name, hint]) => (
        <Area key={key} mono label={name} hint={hint} rows={key === "soul" ? 10 : 5} maxLength={65_536} spellCheck value={value[key]} onChange={(event) => set({ [key]: event.target.value })} />
      ))}
    </Editor>
  );
}

function Model({ agent }: { agent: Agent }) {
  const providers = useQuery(providersQuery).data ?? [];
  const id = useId();
  return (
    <Editor agent={agent} title="Model" now={{ model: agent.model }} body={({ model }) => ({ model })}>
      {(value, set) => (
        <>
          <Field label="Provider and model" list={id} required maxLength={200} value={value.model} onChange={(event) => set({ model: event.target.value })} autoComplete="off" autoCapitalize="none" spellCheck={false} hint={`For example demo/demo. Providers: ${providers.map((one) => one.name).join(", ") || "none"}.`} />
          <datalist id={id}>{providers.map((one) => <option key={one.name} value={one.kind === "demo" ? "demo/demo" : `${one.name}/`} />)}</datalist>
        </>
      )}
    </Editor>
  );
}

function Limits({ agent }: { agent: Agent }) {
  const now = {
    memory: String(Math.round(agent.limits.memory_bytes / MIB)), disk: String(Math.round(agent.limits.disk_bytes / MIB)),
    cores: String(agent.limits.cpu_millis / 1000), pids: String(agent.limits.pids),
  };
  const body = (edited: typeof now): Schemas["PatchAgent"] => ({
    limits: {
      // Only what was changed: a size that is no whole number of MiB stays as it is.
      ...(edited.memory !== now.memory && { memory_bytes: Number(edited.memory) * MIB }),
      ...(edited.disk !== now.disk && { disk_bytes: Number(edited.disk) * MIB }),
      ...(edited.cores !== now.cores && { cpu_millis: Math.round(Number(edited.cores) * 1000) }),
      ...(edited.pids !== now.pids && { pids: Number(edited.pids) }),
    },
  });
  const number = { type: "number", required: true, inputMode: "decimal" } as const;
  return (
    <Editor agent={agent} title="Limits" now={now} body={body}>
      {(value, set) => (
        <div className="grid gap-3 sm:grid-cols-2">
          <Field label="Memory, MiB" {...number} min={32} step={1} value={value.memory} onChange={(event) => set({ memory: event.target.value })} />
          <Field label="CPU, cores" {...number} min={0.05} step={0.05} value={value.cores} onChange={(event) => set({ cores: event.target.value })} />
          <Field label="Disk, MiB" {...number} min={16} step={1} value={value.disk} onChange={(event) => set({ disk: event.target.value })} />
          <Field label="Processes" {...number} min={32} step={1} value={value.pids} onChange={(event) => set({ pids: event.target.value })} />
        </div>
      )}
    </Editor>
  );
}

const STOPS: [Schemas["Autostop"], string][] = [["off", "Stay awake"], ["suspend", "Be suspended: in memory, awake in a moment"], ["stop", "Be stopped: on disk, awake in seconds"]];

function Sleep({ agent }: { agent: Agent }) {
  const now = { autostop: agent.rest.autostop ?? "suspend", idle: String((agent.rest.idle_s ?? 300) / 60), autostart: agent.rest.autostart ?? true };
  const body = (edited: typeof now): Schemas["PatchAgent"] => ({ rest: { autostop: edited.autostop, idle_s: Math.round(Number(edited.idle) * 60), autostart: edited.autostart } });
  return (
    <Editor agent={agent} title="Sleep" now={now} body={body}>
      {(value, set) => (
        <>
          <Select label="When nobody needs it, it should" value={value.autostop} onChange={(event) => set({ autostop: event.target.value as Schemas["Autostop"] })}>
            {STOPS.map(([key, text]) => <option key={key} value={key}>{text}</option>)}
          </Select>
          {value.autostop !== "off" && <Field label="After so many minutes" type="number" required min={0.1} step="any" value={value.idle} onChange={(event) => set({ idle: event.target.value })} />}
          <Check label="Wake when somebody comes or writes" checked={value.autostart} onChange={(event) => set({ autostart: event.target.checked })} />
        </>
      )}
    </Editor>
  );
}

export function Identity({ agent }: { agent: Agent }) {
  return (
    <div className="mx-auto grid w-full max-w-6xl items-start gap-4 p-4 sm:p-6 lg:grid-cols-[3fr_2fr]">
      <title>{`${agent.name}: agent · Creel`}</title>
      <Files agent={agent} />
      <div className="grid gap-4"><Model agent={agent} /><Limits agent={agent} /><Sleep agent={agent} /></div>
    </div>
  );
}
