// What an answer is so far: pure, event by event.

import type { Schemas } from "../api/client";

type Event = Schemas["TurnEvent"];

export interface Tool {
  id: string;
  name: string;
  arguments: string;
  /** Null: it is at work. */
  ok: boolean | null;
  output: string | null;
}

export interface Answer {
  text: string;
  tools: Tool[];
  state: "waiting" | "running" | "done" | "failed" | "cancelled";
  failure: Schemas["TurnFailure"] | null;
}

export const NOTHING: Answer = { text: "", tools: [], state: "waiting", failure: null };

export function after(answer: Answer, event: Event): Answer {
  switch (event.type) {
    case "started":
      // A second one says that what came before is void.
      return { ...NOTHING, state: "running" };
    case "text":
      return { ...answer, text: answer.text + event.delta };
    case "tool_started":
      return { ...answer, tools: [...answer.tools, { id: event.tool_id, name: event.name, arguments: event.arguments, ok: null, output: null }] };
    case "tool_finished":
      return { ...answer, tools: answer.tools.map((tool) => (tool.id === event.tool_id ? { ...tool, ok: event.ok, output: event.output } : tool)) };
    case "done":
      return { ...answer, text: event.text, state: "done" };
    case "failed":
      return { ...answer, state: "failed", failure: { code: event.code, message: event.message } };
    case "cancelled":
      return { ...answer, state: "cancelled" };
  }
}

export const over = (answer: Answer) => answer.state !== "waiting" && answer.state !== "running";

/** An answer that is kept. */
export function kept(message: Schemas["Message"]): Answer {
  const tools = (message.tools ?? []).map((tool, at) => ({ id: String(at), name: tool.name, arguments: tool.arguments, ok: tool.ok ?? null, output: tool.output ?? null }));
  return { text: message.text, tools, state: message.state ?? "done", failure: message.failure ?? null };
}
