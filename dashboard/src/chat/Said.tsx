// One thing that was said, by a person or by the agent.

import { lazy, memo, Suspense, useDeferredValue, useLayoutEffect } from "react";

import type { Schemas } from "../api/client";
import { moment } from "../lib/format";
import { Badge, Button, cx, Notice } from "../ui/basics";
import { Icon } from "../ui/icons";
import { useTurn } from "./follow";
import { type Answer, kept, over, type Tool } from "./turn";

const Markdown = lazy(() => import("./Markdown"));

export const UserSaid = memo(function UserSaid({ text, at, pending }: { text: string; at?: string; pending?: boolean }) {
  return (
    <div className={cx("ml-auto max-w-[85%] rounded-2xl rounded-br-sm bg-tint px-3.5 py-2 whitespace-pre-wrap [overflow-wrap:anywhere] sm:max-w-[75%]", pending && "opacity-70")} title={at && moment(at)}>
      <span className="sr-only">You: </span>{text}
    </div>
  );
});

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

const PRE = "max-h-72 overflow-auto rounded-md border border-line bg-sunken p-2 whitespace-pre-wrap [overflow-wrap:anywhere]";

const ToolSaid = memo(function ToolSaid({ tool }: { tool: Tool }) {
  return (
    <details className="rounded-lg border border-line bg-panel text-[0.8125rem]">
      <summary className="flex min-h-9 items-center gap-2 px-3">
        <Icon name="tool" className="size-3.5 text-soft" />
        <code className="min-w-0 truncate">{tool.name}</code>
        <span className="min-w-0 flex-1 truncate text-soft">{tool.arguments.replaceAll(/\s+/g, " ").slice(0, 120)}</span>
        {tool.ok === null ? <Badge tone="wait">at work</Badge> : tool.ok ? <Badge tone="good">done</Badge> : <Badge tone="bad">failed</Badge>}
      </summary>
      <div className="grid gap-1.5 border-t border-line p-3">
        <p className="text-soft">Asked</p>
        <pre tabIndex={0} className={PRE}>{pretty(tool.arguments)}</pre>
        {tool.output !== null && <><p className="text-soft">Answered</p><pre tabIndex={0} className={PRE}>{tool.output || "(nothing)"}</pre></>}
      </div>
    </details>
  );
});

function Shown({ answer, children, live }: { answer: Answer; children?: React.ReactNode; live?: boolean }) {
  const text = useDeferredValue(answer.text);
  return (
    <div className="grid max-w-full grid-cols-[minmax(0,1fr)] gap-2 sm:max-w-[90%]" aria-busy={live || undefined}>
      <span className="sr-only">Agent: </span>
      {answer.tools.map((tool, at) => <ToolSaid key={at} tool={tool} />)}
      {text && <Suspense fallback={<p className="whitespace-pre-wrap [overflow-wrap:anywhere]">{text}</p>}><Markdown text={text} /></Suspense>}
      {answer.state === "failed" && <Notice>{answer.failure?.message ?? "The turn failed."}</Notice>}
      {answer.state === "cancelled" && <p className="text-soft">Stopped.</p>}
      {children}
    </div>
  );
}

const Dots = () => (
  <span className="flex h-5 items-center gap-1" role="status"><span className="sr-only">The agent is at work</span>
    {[0, 1, 2].map((dot) => <span key={dot} aria-hidden="true" className="size-1.5 rounded-full bg-edge motion-safe:animate-pulse" />)}
  </span>
);

interface SaidProps {
  agent: string;
  message: Schemas["Message"];
  ended: () => void;
  grew: () => void;
  retry?: () => void;
}

/** What the agent says: as it says it, and as it was kept. The same element throughout, so that what was unfolded stays so. */
export const AgentSaid = memo(function AgentSaid({ agent, message, ended, grew, retry }: SaidProps) {
  const running = message.state === "running";
  const { answer: heard, lost, trouble } = useTurn(agent, running ? message.turn : null, ended);
  const answer = running ? heard : kept(message);
  useLayoutEffect(grew, [heard, grew]);
  const atWork = running && !over(answer);
  return (
    <Shown answer={answer} live={running}>
      {atWork && !lost && !trouble && <Dots />}
      {atWork && lost && <p role="status" className="text-wait">The connection was lost. It is made again; the agent works on meanwhile.</p>}
      {running && trouble && <Notice>{trouble}</Notice>}
      {retry && (answer.state === "failed" || answer.state === "cancelled") && <p><Button onClick={retry}>Ask again</Button></p>}
    </Shown>
  );
});
