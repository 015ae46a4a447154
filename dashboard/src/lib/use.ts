// Small hooks that several pages share.

import { useCallback, useEffect, useRef, useState } from "react";

import { sentence, Trouble } from "../api/client";

export interface Act<A extends unknown[]> {
  run: (...given: A) => Promise<boolean>;
  busy: boolean;
  trouble: string | null;
  clear: () => void;
  error: unknown;
}

/** Something that is done once at a time, and whose failure is shown. `run` says whether it worked. */
export function useAct<A extends unknown[]>(work: (...given: A) => Promise<unknown>): Act<A> {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const latest = useRef(work);
  latest.current = work;
  const running = useRef(false);
  const run = useCallback(async (...given: A) => {
    if (running.current) return false;
    running.current = true;
    setBusy(true);
    setError(null);
    try {
      await latest.current(...given);
      return true;
    } catch (failed) {
      setError(failed);
      return false;
    } finally {
      running.current = false;
      setBusy(false);
    }
  }, []);
  const trouble = error ? sentence(error).replace(/^`[a-z_]+`: /, "") : null;
  return { run, busy, trouble, clear: useCallback(() => setError(null), []), error };
}

/** The field of a form that a failure is about, by the API's own word for it. */
export function fieldOf(error: unknown): string | null {
  if (!(error instanceof Trouble)) return null;
  return /`([a-z_]+)`/.exec(error.message)?.[1] ?? null;
}

/** The time, kept current every `seconds`. */
export function useNow(seconds = 10): number {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((count) => count + 1), seconds * 1000);
    return () => clearInterval(timer);
  }, [seconds]);
  // What is drawn for another reason is not older than what it shows.
  return Date.now();
}
