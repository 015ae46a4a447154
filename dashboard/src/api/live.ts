// News of the org, as they happen: one event stream for the whole dashboard, which makes the answers that it concerns new.

import { useEffect, useState } from "react";

import type { Schemas } from "./client";
import { agentsQuery, client } from "./queries";

const KINDS = ["agent.created", "agent.changed", "agent.state", "agent.deleted", "turn.started", "turn.finished", "provider.added", "provider.removed", "message"];
/** A page that nobody looks at gives its stream up after so long: browsers keep only a few connections for all tabs of an address. */
const UNSEEN_MS = 10_000;
/** How long a lost stream waits before it is asked for again, at most. */
const MOST_MS = 10_000;

/** Changes of agents come in bursts: what is asked after one serves for those within this time. */
const TOGETHER_MS = 300;
let asking: ReturnType<typeof setTimeout> | undefined;

/** An answer that was under way when an event came may be older than the event, so it is asked once more. */
function askForAgents() {
  asking ??= setTimeout(() => {
    asking = undefined;
    old("agents");
  }, TOGETHER_MS);
}

const old = (...queryKey: unknown[]) => void client.invalidateQueries({ queryKey });

function name(agent: unknown): string | undefined {
  return client.getQueryData(agentsQuery.queryKey)?.find((one) => one.id === agent)?.name;
}

/** What an event makes old; where the event says how it is now, that is put in place. */
export function hear(event: Schemas["Event"]) {
  const data = event.data as Record<string, unknown>;
  const [noun] = event.kind.split(".");
  if (event.kind === "agent.state" && typeof data.state === "string") {
    const status = data as unknown as Schemas["AgentState"];
    const with_ = (one: Schemas["Agent"]) => (one.id === event.subject ? { ...one, status } : one);
    client.setQueryData(agentsQuery.queryKey, (all) => all?.map(with_));
    const known = name(event.subject);
    if (known) client.setQueryData(["agents", known], (one: Schemas["Agent"] | undefined) => one && with_(one));
    askForAgents();
  } else if (noun === "agent") {
    askForAgents();
  } else if (noun === "turn") {
    const known = name(data.agent);
    old("messages", ...(known ? [known] : []));
    old("sessions", ...(known ? [known] : []));
    if (event.kind === "turn.finished") old("usage");
    old("runs");
    old("schedules");
  } else if (noun === "provider") {
    old("providers");
  } else if (noun === "schedule") {
    old("schedules");
    old("runs");
  }
}

/** Follows the stream while somebody is signed in. False: it is lost at the moment. */
export function useLive(org: string): boolean {
  const [connected, setConnected] = useState(true);
  useEffect(() => {
    let source: EventSource | null = null;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let tries = 0;
    const open = () => {
      source = new EventSource("/v1/events?from=now");
      source.onopen = () => {
        // What happened while nobody listened, or between an answer and this, is not told again.
        void client.invalidateQueries({ predicate: ({ queryKey }) => queryKey[0] !== "me" && queryKey[0] !== "file" });
        tries = 0;
        setConnected(true);
      };
      source.onerror = () => {
        tries += 1;
        if (tries > 1) setConnected(false);
        if (source?.readyState !== EventSource.CLOSED) return;
        timer = setTimeout(open, Math.min(500 * 2 ** tries, MOST_MS));
      };
      for (const kind of KINDS) {
        source.addEventListener(kind, (message) => hear(JSON.parse(message.data) as Schemas["Event"]));
      }
    };
    const close = () => {
      clearTimeout(timer);
      source?.close();
      source = null;
    };
    const seen = () => {
      clearTimeout(timer);
      if (document.visibilityState === "hidden") timer = setTimeout(close, UNSEEN_MS);
      else if (!source || source.readyState === EventSource.CLOSED) open();
    };
    open();
    document.addEventListener("visibilitychange", seen);
    return () => {
      document.removeEventListener("visibilitychange", seen);
      close();
    };
  }, [org]);
  return connected;
}
