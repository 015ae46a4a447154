// How far an agent is that starts, by what it says it waits for (`agent_state` in crates/domain/src/reconcile.rs).

/** 0: for a sandbox; 1: the sandbox starts; 2: for its runtime to answer. */
export function stage(waiting: string): number {
  if (waiting.startsWith("starting the sandbox")) return 1;
  if (/^(its runtime|the runtime|waking)/.test(waiting)) return 2;
  return 0;
}
