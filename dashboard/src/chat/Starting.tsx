// What happens between "create" and the first word, as it happens.

import type { Schemas } from "../api/client";
import { Dot } from "../agents/state";
import { capital, duration } from "../lib/format";
import { useNow } from "../lib/use";
import { cx } from "../ui/basics";
import { stage } from "./stage";

type State = Schemas["AgentState"];

const STAGES = ["The sandbox is prepared", "The sandbox starts", "The runtime answers"];

function Steps({ status, now }: { status: Extract<State, { state: "starting" }>; now: number }) {
  const at = stage(status.waiting);
  return (
    <>
      <p className="flex items-center gap-2 font-medium"><Dot status={status} />Starting<span className="text-soft tabular-nums">{duration((now - Date.parse(status.since)) / 1000)}</span></p>
      <ol className="grid gap-1.5">
        {STAGES.map((name, step) => (
          <li key={name} className={cx("flex items-center gap-2", step > at && "text-soft")}>
            <span aria-hidden="true" className={cx("grid size-4 place-items-center rounded-full border text-[0.625rem]", step < at ? "border-accent bg-accent text-on-accent" : step === at ? "border-accent" : "border-edge")}>{step < at ? "✓" : ""}</span>
            {name}{step < at && <span className="sr-only">: done</span>}
          </li>
        ))}
      </ol>
      <p className="text-soft">{capital(status.waiting)}. You can write already: it answers as soon as it is up.</p>
    </>
  );
}

export function Starting({ agent }: { agent: Schemas["Agent"] }) {
  const now = useNow(1);
  const status = agent.status;
  return (
    <div role="status" className="grid min-h-36 content-start gap-3 rounded-lg border border-line bg-panel p-4">
      {status.state === "starting" && <Steps status={status} now={now} />}
      {status.state === "faulted" && (
        <>
          <p className="flex items-center gap-2 font-medium text-bad"><Dot status={status} />It did not start</p>
          <p>{capital(status.reason)}</p>
          <p className="text-soft">{status.retry_at ? "It is tried again by itself." : "Look at its logs, or restart it from its overview."}</p>
        </>
      )}
      {status.state === "stopped" && <p>It is stopped. Start it from its overview, and it answers.</p>}
      {(status.state === "stopping" || status.state === "deleting") && <p className="flex items-center gap-2"><Dot status={status} />{capital(status.state)}</p>}
    </div>
  );
}
