// What belongs to an agent beside itself: schedules, ports, share links, secrets, and its end.

import { useState } from "react";

import { api, type Schemas, take } from "../api/client";
import { client, useMe } from "../api/queries";
import { navigate } from "../lib/router";
import { useAct } from "../lib/use";
import { Button, Card } from "../ui/basics";
import { Confirm } from "../ui/dialog";
import { Ports } from "./Ports";
import { Schedules } from "./Schedules";
import { Secrets } from "./Secrets";

function Danger({ agent }: { agent: string }) {
  const [asks, setAsks] = useState(false);
  const remove = useAct(async () => {
    await take(api.DELETE("/v1/agents/{agent}", { params: { path: { agent } } }));
    await client.invalidateQueries({ queryKey: ["agents"] });
    navigate("/agents");
  });
  return (
    <Card title="Danger">
      <div className="flex flex-wrap items-center gap-3">
        <p className="flex-1">Deleting {agent} deletes its sandbox, its files, its conversations and its secrets.</p>
        <Button kind="bad" onClick={() => setAsks(true)}>Delete {agent}</Button>
      </div>
      {asks && <Confirm title={`Delete ${agent}?`} action="Delete it for good" act={remove} type={agent} onClose={() => setAsks(false)}>Its sandbox, files, conversations and secrets are gone and cannot be brought back. What it cost stays in the usage.</Confirm>}
    </Card>
  );
}

export function Settings({ agent }: { agent: Schemas["Agent"] }) {
  const me = useMe();
  return (
    <div className="mx-auto grid w-full max-w-4xl grid-cols-[minmax(0,1fr)] gap-4 p-4 sm:p-6">
      <title>{`${agent.name}: settings · Creel`}</title>
      {me.may("chat:read") && <Schedules agent={agent.name} />}
      <Ports agent={agent} />
      {me.may("secrets:read") && <Secrets agent={agent.name} />}
      {me.may("agents:write") && <Danger agent={agent.name} />}
    </div>
  );
}
