// A terminal in the agent's sandbox.

import { FitAddon } from "@xterm/addon-fit";
import { Terminal as Xterm } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";
import { useEffect, useRef, useState } from "react";

import { useDark } from "../lib/theme";
import { Button } from "../ui/basics";
import { type Line, shell } from "./exec";
import { styleByTheDocument } from "./sheets";

const SCROLLBACK_LINES = 5000;

function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string) => style.getPropertyValue(name).trim();
  return { background: of("--sunken"), foreground: of("--text"), cursor: of("--accent"), cursorAccent: of("--sunken"), selectionBackground: of("--edge") };
}

export default function Terminal({ agent }: { agent: string }) {
  const box = useRef<HTMLDivElement>(null);
  const screen = useRef<Xterm | null>(null);
  const [round, setRound] = useState(0);
  const [said, setSaid] = useState<string | null>(null);
  const dark = useDark();
  useEffect(() => {
    if (screen.current) screen.current.options.theme = colours();
  }, [dark]);
  useEffect(() => {
    const node = box.current;
    if (!node) return undefined;
    const endStyles = styleByTheDocument();
    const terminal = new Xterm({
      scrollback: SCROLLBACK_LINES, fontSize: 13, cursorBlink: false, theme: colours(), screenReaderMode: true,
      fontFamily: getComputedStyle(document.documentElement).getPropertyValue("--font-mono") || "monospace",
    });
    const fit = new FitAddon();
    terminal.loadAddon(fit);
    terminal.open(node);
    fit.fit();
    terminal.focus();
    screen.current = terminal;
    setSaid(null);
    const line: Line = shell(agent, terminal.cols, terminal.rows, (bytes) => terminal.write(bytes), (sentence) => {
      terminal.options.disableStdin = true;
      setSaid(sentence);
    });
    terminal.onData((text) => line.say(text));
    terminal.onResize(({ cols, rows }) => line.size(cols, rows));
    const observer = new ResizeObserver(() => fit.fit());
    observer.observe(node);
    return () => {
      observer.disconnect();
      line.hangUp();
      screen.current = null;
      terminal.dispose();
      endStyles();
    };
  }, [agent, round]);
  return (
    <div className="grid gap-2">
      <div ref={box} aria-label={`Terminal of ${agent}`} role="group" className="h-[min(32rem,60vh)] overflow-hidden rounded-lg border border-line bg-sunken p-2" />
      <div className="flex min-h-9 flex-wrap items-center gap-3">
        {said
          ? <><p role="status">{said}</p><Button onClick={() => setRound(round + 1)}>New shell</Button></>
          : <p className="text-xs text-soft">A shell as the agent sees its computer. Leaving this page ends it. That it was opened stands in the org's audit trail.</p>}
      </div>
    </div>
  );
}
