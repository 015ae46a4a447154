// A new agent in three steps: which model, how large, and what it is called.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api, type Schemas, take } from "../api/client";
import { agentsQuery, know, useMe } from "../api/queries";
import { cores, size as bytes } from "../lib/format";
import { navigate } from "../lib/router";
import { fieldOf, useAct } from "../lib/use";
import { Area, Button, Card, cx, Field, Notice, Page } from "../ui/basics";
import { ModelStep } from "./ModelStep";
import { freeName, type Runtime, type SizeName, sizes } from "./sizes";

const STEPS = ["Model", "Size", "Deploy"];

function Steps({ at, go }: { at: number; go: (step: number) => void }) {
  return (
    <ol className="flex gap-2" aria-label="Steps">
      {STEPS.map((name, step) => (
        <li key={name} className="flex-1" aria-current={step === at ? "step" : undefined}>
          <button
            type="button" disabled={step > at} onClick={() => go(step)}
            className={cx("w-full border-t-3 pt-1.5 text-left text-sm", step <= at ? "border-accent" : "border-line text-soft", step === at && "font-semibold")}
          >
            <span className="text-soft">{step + 1}.</span> {name}
          </button>
        </li>
      ))}
    </ol>
  );
}

/** One of a few that exclude each other, as a card. */
export function Choice({ name, checked, onChoose, title, children, badge }: { name: string; checked: boolean; onChoose: () => void; title: string; children?: React.ReactNode; badge?: React.ReactNode }) {
  return (
    <label className={cx("flex cursor-pointer gap-3 rounded-lg border p-3 has-focus-visible:outline-2 has-focus-visible:outline-accent", checked ? "border-accent bg-tint" : "border-line bg-panel hover:bg-sunken")}>
      <input type="radio" name={name} checked={checked} onChange={onChoose} className="mt-0.5 size-4 shrink-0 accent-accent outline-none" />
      <span className="grid min-w-0 content-start gap-0.5">
        <span className="flex flex-wrap items-center gap-2 font-medium">{title}{badge}</span>
        <span className="text-soft">{children}</span>
      </span>
    </label>
  );
}

const RUNTIMES: [Runtime, string, string][] = [
  ["lite", "Lite", "Small and quick: it starts in a moment, talks, and runs commands."],
  ["openclaw", "OpenClaw", "The real OpenClaw, with its own pages, tools and jobs. It takes longer to start."],
];

function SizeStep({ runtime, chosen, choose }: { runtime: Runtime; chosen: SizeName; choose: (size: SizeName) => void }) {
  return (
    <fieldset className="grid gap-2 sm:grid-cols-3">
      <legend className="mb-2 font-semibold">How large is its sandbox?</legend>
      {sizes(runtime).map(({ name, title, limits }) => (
        <Choice key={name} name="size" checked={name === chosen} onChoose={() => choose(name)} title={title}>
          <span className="block">{cores(limits.cpu_millis)}</span>
          <span className="block">{bytes(limits.memory_bytes)} of memory</span>
          <span className="block">{bytes(limits.disk_bytes)} of disk</span>
          <span className="block">{limits.pids} processes</span>
        </Choice>
      ))}
      <p className="text-xs text-soft sm:col-span-3">These are limits, not costs, and can be changed later.</p>
    </fieldset>
  );
}

export function New() {
  const me = useMe();
  const agents = useQuery(agentsQuery).data;
  const images = useQuery({ queryKey: ["images"], queryFn: async () => (await take(api.GET("/v1/images"))).items, enabled: me.may("platform:read") }).data;
  const [step, setStep] = useState(0);
  const [model, setModel] = useState("demo/demo");
  const [runtime, setRuntime] = useState<Runtime>("lite");
  const [size, setSize] = useState<SizeName>("small");
  const [name, setName] = useState<string | null>(null);
  const [soul, setSoul] = useState("");
  const called = name ?? freeName((agents ?? []).map((agent) => agent.name));
  const create = useAct(async () => {
    const limits = sizes(runtime).find((one) => one.name === size)?.limits ?? {};
    const files: Schemas["AgentFiles"] = soul.trim() ? { soul } : {};
    const agent = await take(api.POST("/v1/agents", { body: { name: called, runtime, model, limits, files } }));
    know(agent);
    navigate(`/agents/${agent.name}/chat`);
  });
  const field = fieldOf(create.error);
  const taken = create.error && /name/i.test(create.trouble ?? "") && !field ? create.trouble : null;
  const image = images?.find((one) => one.name === "openclaw");
  if (!me.may("agents:write")) {
    return <Page title="New agent" narrow><Notice tone="plain">Your role is {me.role}, which makes no agents. Ask an admin of this org for the role of a developer.</Notice></Page>;
  }
  return (
    <Page title="New agent" narrow lead={agents?.length === 0 ? "Your first agent. Nothing of this is final." : undefined}>
      <Steps at={step} go={setStep} />
      <Card>
        {step === 0 && <ModelStep model={model} setModel={setModel} next={() => setStep(1)} />}
        {step === 1 && (
          <div className="grid gap-4">
            <fieldset className="grid gap-2 sm:grid-cols-2">
              <legend className="mb-2 font-semibold">Which runtime?</legend>
              {RUNTIMES.map(([key, title, text]) => (
                <Choice key={key} name="runtime" checked={key === runtime} onChoose={() => setRuntime(key)} title={title}>
                  {text}{key === "openclaw" && image && image.state !== "ready" && <span className="mt-1 block text-wait">Its image is not built yet{image.state === "building" ? `: ${image.percent} %` : ""}. The agent waits for it.</span>}
                </Choice>
              ))}
            </fieldset>
            <SizeStep runtime={runtime} chosen={size} choose={setSize} />
            <div className="flex justify-between gap-2"><Button onClick={() => setStep(0)}>Back</Button><Button kind="main" onClick={() => setStep(2)}>Next</Button></div>
          </div>
        )}
        {step === 2 && (
          <form className="grid gap-4" onSubmit={(event) => { event.preventDefault(); void create.run(); }}>
            <Field
              label="Name" name="name" required maxLength={40} value={called} onChange={(event) => setName(event.target.value)} autoFocus
              autoComplete="off" autoCapitalize="none" spellCheck={false} pattern="[a-z0-9]([a-z0-9\-]{0,38}[a-z0-9])?" title="a-z, 0-9 and -, beginning and ending with a letter or digit"
              hint="a-z, 0-9 and -" trouble={field === "name" ? create.trouble : taken}
            />
            <Area label="Personality, if you like" name="soul" rows={5} maxLength={65_536} value={soul} onChange={(event) => setSoul(event.target.value)} placeholder="You are a patient librarian. You answer shortly and say where you know it from." hint="It becomes the agent's SOUL.md and can be changed later." />
            <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1 rounded-md bg-sunken p-3">
              <dt className="text-soft">Model</dt><dd>{model}</dd>
              <dt className="text-soft">Runtime</dt><dd>{runtime}</dd>
              <dt className="text-soft">Size</dt><dd>{size}</dd>
            </dl>
            {!taken && field !== "name" && <Notice>{create.trouble}</Notice>}
            <div className="flex justify-between gap-2"><Button onClick={() => setStep(1)}>Back</Button><Button type="submit" kind="main" busy={create.busy}>Create the agent</Button></div>
          </form>
        )}
      </Card>
    </Page>
  );
}
