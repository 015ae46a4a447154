// The agent's computer: its files and a terminal.

import { lazy, Suspense } from "react";

import type { Schemas } from "../api/client";
import { useMe } from "../api/queries";
import { Awake } from "../agents/Awake";
import { Link } from "../lib/router";
import { cx, Lines } from "../ui/basics";
import { Files } from "./Files";

const Terminal = lazy(() => import("./Terminal"));

export function Sandbox({ agent, rest }: { agent: Schemas["Agent"]; rest?: string }) {
  const me = useMe();
  const views: [string | undefined, string][] = [[undefined, "Files"], ...(me.may("computer:write") ? [["terminal", "Terminal"] as [string, string]] : [])];
  return (
    <div className="mx-auto grid w-full max-w-6xl content-start gap-4 p-4 sm:p-6">
      <title>{`${agent.name}: sandbox · Creel`}</title>
      <nav aria-label="Of the sandbox" className="flex w-fit gap-0.5 rounded-lg border border-line bg-panel p-0.5">
        {views.map(([key, name]) => (
          <Link key={name} href={`/agents/${agent.name}/sandbox${key ? `/${key}` : ""}`} aria-current={rest === key ? "page" : undefined} className={cx("rounded-md px-3 py-1 text-sm", rest === key ? "bg-tint font-medium" : "text-soft hover:text-text")}>{name}</Link>
        ))}
      </nav>
      <Awake agent={agent} what={rest === "terminal" ? "The terminal" : "The files"}>
        {rest === "terminal" && me.may("computer:write") ? <Suspense fallback={<Lines />}><Terminal agent={agent.name} /></Suspense> : <Files agent={agent.name} />}
      </Awake>
    </div>
  );
}
