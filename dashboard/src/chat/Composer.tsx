// Where one types. Enter sends, Shift and Enter begin a new line.

import { type KeyboardEvent, useEffect, useId, useRef } from "react";

import { Button } from "../ui/basics";
import { Icon } from "../ui/icons";

/** As the API has it. */
const MOST_BYTES = 256 * 1024;

interface Props {
  text: string;
  setText: (text: string) => void;
  send: () => void;
  stop: (() => void) | null;
  busy: boolean;
  agent: string;
}

export function Composer({ text, setText, send, stop, busy, agent }: Props) {
  const id = useId();
  const area = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    const node = area.current;
    if (!node) return;
    node.style.height = "auto";
    node.style.height = `${Math.min(node.scrollHeight + 2, 240)}px`;
  }, [text]);
  const tooLong = text.length > MOST_BYTES / 4 && new TextEncoder().encode(text).length > MOST_BYTES;
  const ready = text.trim() !== "" && !busy && !stop && !tooLong;
  const key = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    if (ready) send();
  };
  return (
    <form className="grid gap-1" onSubmit={(event) => { event.preventDefault(); if (ready) send(); }}>
      <label htmlFor={id} className="sr-only">Message</label>
      <div className="flex items-end gap-2 rounded-xl border border-edge bg-panel p-1.5 focus-within:border-accent">
        <textarea
          id={id} ref={area} rows={1} value={text} onChange={(event) => setText(event.target.value)} onKeyDown={key} autoFocus
          placeholder={`Say something to ${agent}`} className="max-h-60 min-h-9 min-w-0 flex-1 resize-none bg-transparent px-2 py-1.5 text-sm outline-none"
        />
        {stop
          ? <Button onClick={stop}><Icon name="stop" />Stop</Button>
          : <Button type="submit" kind="main" disabled={!ready}><Icon name="send" />Send</Button>}
      </div>
      {tooLong && <p role="alert" className="text-bad">A message is at most 256 KiB long. Put it into a file of the agent's instead.</p>}
    </form>
  );
}
