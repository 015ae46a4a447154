// Lets a device in, or not. What it says of itself is text.

import { useEffect, useState } from "react";

import { api, type Schemas, type Scope, take } from "../api/client";
import { useMe } from "../api/queries";
import { moment } from "../lib/format";
import { navigate, useSearch } from "../lib/router";
import { useAct } from "../lib/use";
import { Button, Card, Field, Notice, Page } from "../ui/basics";
import { Scopes } from "./Scopes";

export function Device() {
  const me = useMe();
  const given = useSearch().get("code");
  const [code, setCode] = useState(given ?? "");
  const [request, setRequest] = useState<Schemas["DeviceRequest"] | null>(null);
  const [scopes, setScopes] = useState<Scope[]>([]);
  const [done, setDone] = useState<string | null>(null);
  useEffect(() => {
    // Out of the history: it is good for a while.
    if (given) navigate("/device", { replace: true });
  }, [given]);
  const look = useAct(async () => {
    const found = await take(api.POST("/v1/devices/inspect", { body: { user_code: code } }));
    setScopes(me.scopes.filter((scope) => !found.scopes || found.scopes.includes(scope)));
    setRequest(found);
  });
  const approve = useAct(async () => {
    const found = await take(api.POST("/v1/devices/approve", { body: { user_code: code, scopes } }));
    setDone(`${found.name} is let in. It can be removed with “creel device rm”.`);
  });
  const deny = useAct(async () => {
    await take(api.POST("/v1/devices/deny", { body: { user_code: code } }));
    setDone("It was turned away.");
  });
  return (
    <Page title="Let a device in" narrow>
      <Notice tone="good">{done}</Notice>
      {!request && (
        <Card>
          <form className="grid gap-3" onSubmit={(event) => { event.preventDefault(); void look.run(); }}>
            <Field label="Code that the device shows" name="code" required maxLength={20} value={code} onChange={(event) => setCode(event.target.value)} autoComplete="off" autoCapitalize="characters" spellCheck={false} placeholder="BDWP-HQPK" autoFocus trouble={look.trouble} />
            <div><Button type="submit" kind="main" busy={look.busy}>Look</Button></div>
          </form>
        </Card>
      )}
      {request && !done && (
        <Card title={request.name}>
          <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1 [overflow-wrap:anywhere]">
            <dt className="text-soft">It calls itself</dt><dd>{request.name}</dd>
            <dt className="text-soft">It asks from</dt><dd>{request.address}</dd>
            <dt className="text-soft">It asked at</dt><dd>{moment(request.created_at)}</dd>
          </dl>
          <Notice tone="wait">Compare the code with the one on the device. Somebody who sent you this link may want to be let in with your rights.</Notice>
          <Scopes mine={me.scopes} chosen={scopes} choose={setScopes} />
          <Notice>{approve.trouble ?? deny.trouble}</Notice>
          <div className="flex flex-wrap gap-2">
            <Button kind="main" busy={approve.busy} disabled={scopes.length === 0} onClick={() => void approve.run()}>Let it in</Button>
            <Button busy={deny.busy} onClick={() => void deny.run()}>Turn it away</Button>
          </div>
        </Card>
      )}
    </Page>
  );
}
