// Follows a turn to its end, through reloads and lost connections: its events are numbered, and what was heard is not asked for again.

import { useEffect, useRef, useState } from "react";

import { bytes, type Schemas, Trouble } from "../api/client";
import { read } from "../api/sse";
import { after, type Answer, NOTHING, over } from "./turn";

/** Of waiting between two tries. */
const FIRST_MS = 250;
const MOST_MS = 5000;

const pause = (ms: number, gone: AbortSignal) =>
  new Promise<void>((done) => {
    const timer = setTimeout(done, ms);
    gone.addEventListener("abort", () => { clearTimeout(timer); done(); }, { once: true });
  });

/** Tells each state of the answer; `lost` says that the connection is being made again. */
export async function follow(agent: string, turn: string, gone: AbortSignal, tell: (answer: Answer) => void, lost: (is: boolean) => void): Promise<void> {
  let answer = NOTHING;
  let last = 0;
  let tries = 0;
  const path = `/v1/agents/${encodeURIComponent(agent)}/turns/${encodeURIComponent(turn)}`;
  while (!gone.aborted && !over(answer)) {
    try {
      const response = await bytes(path, { headers: { accept: "text/event-stream", "last-event-id": String(last) }, signal: gone });
      await read(response, (sent) => {
        tries = 0;
        lost(false);
        for (const { id, data } of sent) {
          answer = after(answer, JSON.parse(data) as Schemas["TurnEvent"]);
          last = id;
        }
        tell(answer);
      });
    } catch (error) {
      if (gone.aborted) return;
      // Whoever may not see it, or asks for what is gone, hears the same again.
      if (error instanceof Trouble && error.status >= 400 && error.status < 500 && error.status !== 429) throw error;
    }
    if (over(answer) || gone.aborted) return;
    tries += 1;
    if (tries > 1) lost(true);
    await pause(Math.min(FIRST_MS * 2 ** tries, MOST_MS), gone);
  }
}

export interface Followed {
  answer: Answer;
  lost: boolean;
  trouble: string | null;
}

/** Of a turn that is under way; null: there is none to follow. `ended` is called once, when it is over. */
export function useTurn(agent: string, turn: string | null, ended: () => void): Followed {
  const [state, setState] = useState<Followed>({ answer: NOTHING, lost: false, trouble: null });
  const latest = useRef(ended);
  latest.current = ended;
  useEffect(() => {
    if (turn === null) return undefined;
    const abort = new AbortController();
    const tell = (answer: Answer) => setState((was) => ({ ...was, answer }));
    const lost = (is: boolean) => setState((was) => (was.lost === is ? was : { ...was, lost: is }));
    follow(agent, turn, abort.signal, tell, lost)
      .catch((error: unknown) => setState((was) => ({ ...was, trouble: error instanceof Error ? error.message : String(error) })))
      .finally(() => !abort.signal.aborted && latest.current());
    return () => abort.abort();
  }, [agent, turn]);
  return state;
}
