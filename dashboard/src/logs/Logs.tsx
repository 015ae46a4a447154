// What the agent's bridge and runtime write, as they write it.

import { useDeferredValue, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";

import { bytes, type Schemas, sentence, Trouble } from "../api/client";
import { read } from "../api/sse";
import { Awake } from "../agents/Awake";
import { Check, cx, INPUT, Notice, OutButton } from "../ui/basics";

type Line = Schemas["LogLine"] & { number: number };

/** Lines that the page keeps; older ones are in the download. */
const KEPT_LINES = 5000;
const TAIL = 1000;
/** All that the bridge keeps. */
const MOST_LINES = 10_000;

const at = (agent: string, query: string) => `/v1/agents/${encodeURIComponent(agent)}/logs?${query}`;

function useLines(agent: string) {
  const [lines, setLines] = useState<Line[]>([]);
  const [said, setSaid] = useState<string | null>(null);
  const [heard, setHeard] = useState(false);
  useEffect(() => {
    const gone = new AbortController();
    let number = 0;
    const follow = async () => {
      for (let tries = 0; !gone.signal.aborted; tries += 1) {
        try {
          const response = await bytes(at(agent, `tail=${TAIL}&follow=true`), { headers: { accept: "text/event-stream" }, signal: gone.signal });
          setSaid(null);
          setHeard(true);
          let first = true;
          await read(response, (sent) => {
            tries = 0;
            const fresh = sent.map(({ data }) => ({ ...(JSON.parse(data) as Schemas["LogLine"]), number: (number += 1) }));
            // A new connection tells the tail again: it stands in place of what was there.
            const anew = first;
            first = false;
            setLines((old) => [...(anew ? [] : old), ...fresh].slice(-KEPT_LINES));
          });
        } catch (error) {
          if (gone.signal.aborted) return;
          setSaid(sentence(error));
          setHeard(true);
          if (error instanceof Trouble && error.status >= 400 && error.status < 500 && error.status !== 429) return;
        }
        await new Promise((done) => setTimeout(done, Math.min(500 * 2 ** tries, 5000)));
      }
    };
    void follow();
    return () => gone.abort();
  }, [agent]);
  return { lines, said, heard };
}

const time = (text: string) => new Date(text).toLocaleTimeString(undefined, { hour12: false });
const BAD = /\b(error|fatal|panic|failed)\b/i;

function Live({ agent }: { agent: string }) {
  const { lines, said, heard } = useLines(agent);
  const [text, setText] = useState("");
  const [source, setSource] = useState("");
  const [tail, setTail] = useState(true);
  const box = useRef<HTMLDivElement>(null);
  const wanted = useDeferredValue(text.trim().toLowerCase());
  const sources = useMemo(() => [...new Set(lines.map((line) => line.source))].sort(), [lines]);
  const found = useMemo(
    () => lines.filter((line) => (!source || line.source === source) && (!wanted || line.text.toLowerCase().includes(wanted))),
    [lines, source, wanted],
  );
  useLayoutEffect(() => {
    if (tail && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [found, tail]);
  const scrolled = () => {
    const node = box.current;
    if (node) setTail(node.scrollHeight - node.scrollTop - node.clientHeight < 40);
  };
  return (
    <div className="flex min-h-0 flex-1 flex-col gap-3">
      <div className="flex flex-wrap items-center gap-2">
        <input type="search" aria-label="Search in the log" placeholder="Search" value={text} onChange={(event) => setText(event.target.value)} className={cx(INPUT, "max-w-64 min-w-32 flex-1")} />
        <select aria-label="Source" value={source} onChange={(event) => setSource(event.target.value)} className={cx(INPUT, "w-auto!")}>
          <option value="">All sources</option>
          {sources.map((one) => <option key={one} value={one}>{one}</option>)}
        </select>
        <Check label="Follow" checked={tail} onChange={(event) => setTail(event.target.checked)} />
        <span className="flex-1" />
        <OutButton href={at(agent, `tail=${MOST_LINES}`)} download={`${agent}.ndjson`}>Download</OutButton>
      </div>
      <Notice>{said}</Notice>
      <div ref={box} onScroll={scrolled} tabIndex={0} role="log" aria-label={`Log of ${agent}`} aria-live="off" className="min-h-64 flex-1 overflow-auto rounded-lg border border-line bg-sunken p-3 font-mono text-xs leading-5">
        {found.map((line) => (
          <p key={line.number} className="flex gap-3">
            <time dateTime={line.at} className="shrink-0 text-soft">{time(line.at)}</time>
            <span className="hidden w-16 shrink-0 truncate text-soft sm:inline">{line.source}</span>
            <span className={cx("min-w-0 whitespace-pre-wrap [overflow-wrap:anywhere]", BAD.test(line.text) && "text-bad")}>{line.text}</span>
          </p>
        ))}
        {heard && found.length === 0 && <p className="text-soft">{lines.length === 0 ? "Nothing was written yet." : "No line fits."}</p>}
      </div>
      <p className="text-xs text-soft tabular-nums" role="status">{found.length} of {lines.length} lines</p>
    </div>
  );
}

export function Logs({ agent }: { agent: Schemas["Agent"] }) {
  return (
    <div className="mx-auto flex h-[calc(100dvh-10rem)] min-h-96 w-full max-w-6xl flex-col p-4 sm:p-6">
      <title>{`${agent.name}: logs · Creel`}</title>
      <Awake agent={agent} what="The logs"><Live agent={agent.name} /></Awake>
    </div>
  );
}
