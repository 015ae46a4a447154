// What needs the sandbox: it says so where there is none, and asks before it wakes one.

import { type ReactNode, useState } from "react";

import type { Schemas } from "../api/client";
import { Starting } from "../chat/Starting";
import { useAct } from "../lib/use";
import { Button, Card, Empty, Notice } from "../ui/basics";
import { intend } from "./change";

export function Awake({ agent, what, children }: { agent: Schemas["Agent"]; what: string; children: ReactNode }) {
  // Once looked at, it goes on: a request wakes it as often as it is needed.
  const [seen, setSeen] = useState(agent.status.state === "running");
  const wake = useAct(() => intend(agent, "run"));
  if (agent.status.state === "running" && !seen) setSeen(true);
  if (agent.status.state === "running" || (agent.status.state === "asleep" && seen)) return <>{children}</>;
  if (agent.status.state === "asleep" || agent.status.state === "stopped") {
    return (
      <Card>
        <Empty title={agent.status.state === "asleep" ? `${agent.name} is asleep` : `${agent.name} is stopped`} action={<Button kind="main" busy={wake.busy} onClick={() => void wake.run()}>{agent.status.state === "asleep" ? "Wake it" : "Start it"}</Button>}>
          {what} of a sandbox {what.endsWith("s") ? "are" : "is"} there while it runs.
        </Empty>
        <Notice>{wake.trouble}</Notice>
      </Card>
    );
  }
  return <Starting agent={agent} />;
}
