// How an agent stands, in words and a colour.

import type { Schemas } from "../api/client";
import { cx } from "../ui/basics";

type State = Schemas["AgentState"];

const DEPTHS: Record<Schemas["Depth"], string> = {
  frozen: "in memory",
  paged_out: "memory paged out",
  on_disk: "on disk",
};

/** What there is to say beyond the word. */
export function reason(status: State): string | null {
  switch (status.state) {
    case "starting":
      return status.waiting;
    case "asleep":
      return DEPTHS[status.depth];
    case "faulted":
      return status.reason;
    default:
      return null;
  }
}

const COLOURS: Record<State["state"], string> = {
  running: "bg-good",
  starting: "bg-wait motion-safe:animate-pulse",
  stopping: "bg-wait motion-safe:animate-pulse",
  deleting: "bg-wait motion-safe:animate-pulse",
  asleep: "bg-rest",
  stopped: "bg-edge",
  faulted: "bg-bad",
};

export function Dot({ status }: { status: State }) {
  return <span aria-hidden="true" className={cx("size-2 shrink-0 rounded-full", COLOURS[status.state])} />;
}

export function StateLine({ status, className }: { status: State; className?: string }) {
  const why = reason(status);
  return (
    <span className={cx("inline-flex min-w-0 items-center gap-2", className)}>
      <Dot status={status} />
      <span className="min-w-0 truncate" title={why ? `${status.state}: ${why}` : undefined}>
        <span className={cx(status.state === "faulted" && "text-bad")}>{status.state}</span>
        {why && <span className="text-soft">: {why}</span>}
      </span>
    </span>
  );
}
