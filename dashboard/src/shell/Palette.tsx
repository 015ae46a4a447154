// Ctrl-K: to any page or agent, or to what can be made, by a few letters.

import { useQuery } from "@tanstack/react-query";
import { type KeyboardEvent, useEffect, useId, useMemo, useState } from "react";

import { agentsQuery, useMe } from "../api/queries";
import { navigate } from "../lib/router";
import { choose } from "../lib/theme";
import { cx } from "../ui/basics";
import { Dialog } from "../ui/dialog";
import { SECTIONS } from "./pages";
import { rank } from "./rank";

interface Entry {
  name: string;
  kind: string;
  go: () => void;
}

const SHOWN = 40;

function useEntries(): Entry[] {
  const me = useMe();
  const agents = useQuery(agentsQuery).data;
  return useMemo(() => {
    const to = (name: string, kind: string, href: string): Entry => ({ name, kind, go: () => navigate(href) });
    const entries: Entry[] = [];
    for (const agent of agents ?? []) {
      entries.push(to(agent.name, "agent", `/agents/${agent.name}`));
      entries.push(to(`${agent.name}: chat`, "agent", `/agents/${agent.name}/chat`));
    }
    if (me.may("agents:write")) entries.push(to("New agent", "do", "/new"));
    for (const { places } of SECTIONS) {
      for (const place of places) if (me.may(place.needs)) entries.push(to(place.name, "page", place.href));
    }
    entries.push(to("Account", "page", "/account"));
    entries.push({ name: "Theme: light", kind: "do", go: () => choose("light") });
    entries.push({ name: "Theme: dark", kind: "do", go: () => choose("dark") });
    entries.push({ name: "Theme: as the system", kind: "do", go: () => choose("system") });
    return entries;
  }, [agents, me.scopes]);
}

function Inside({ onClose }: { onClose: () => void }) {
  const entries = useEntries();
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const id = useId();
  const found = rank(entries, text, (entry) => entry.name).slice(0, SHOWN);
  const current = Math.min(at, found.length - 1);
  useEffect(() => {
    document.getElementById(`${id}-${current}`)?.scrollIntoView({ block: "nearest" });
  }, [current, id]);
  const take = (entry: Entry | undefined) => {
    if (!entry) return;
    onClose();
    entry.go();
  };
  const key = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown") setAt(Math.min(current + 1, found.length - 1));
    else if (event.key === "ArrowUp") setAt(Math.max(current - 1, 0));
    else if (event.key === "Enter") take(found[current]);
    else return;
    event.preventDefault();
  };
  return (
    <>
      <input
        role="combobox" aria-label="Page, agent or action" aria-expanded="true" aria-controls={`${id}-list`} aria-autocomplete="list"
        aria-activedescendant={found.length > 0 ? `${id}-${current}` : undefined}
        autoFocus value={text} placeholder="Page, agent or action" autoComplete="off" spellCheck={false} onKeyDown={key}
        onChange={(event) => { setText(event.target.value); setAt(0); }}
        className="w-full border-b border-line bg-transparent px-4 py-3 text-base outline-none"
      />
      <ul id={`${id}-list`} role="listbox" aria-label="Found" className="max-h-[50vh] overflow-y-auto p-1.5">
        {found.map((entry, index) => (
          <li
            key={`${entry.kind} ${entry.name}`} id={`${id}-${index}`} role="option" aria-selected={index === current}
            onClick={() => take(entry)} onPointerMove={() => setAt(index)}
            className={cx("flex min-h-9 cursor-pointer items-center gap-2 rounded-md px-2.5", index === current && "bg-tint")}
          >
            <span className="flex-1 truncate">{entry.name}</span>
            <span className="text-xs text-soft">{entry.kind}</span>
          </li>
        ))}
      </ul>
      {found.length === 0 && <p role="status" className="px-4 pb-4 text-soft">Nothing is called so.</p>}
    </>
  );
}

export function Palette({ open, onClose }: { open: boolean; onClose: () => void }) {
  return <Dialog open={open} onClose={onClose} title="Go to" hideTitle>{open && <Inside onClose={onClose} />}</Dialog>;
}
