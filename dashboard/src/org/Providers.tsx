// Where model calls go: the org's providers, or, for operators, those that everybody on the platform may use.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api, type Schemas, take } from "../api/client";
import { client, providersQuery, useMe } from "../api/queries";
import { useAct } from "../lib/use";
import { Badge, Button, Card, Empty, Field, Loaded, Notice, Page, Select } from "../ui/basics";
import { Confirm, Dialog } from "../ui/dialog";
import { Secrets } from "../settings/Secrets";

type Provider = Schemas["Provider"];
type Kind = Exclude<Schemas["ProviderKind"], "demo">;

const KINDS: [Kind, string][] = [["openai", "OpenAI"], ["anthropic", "Anthropic"], ["gemini", "Google Gemini"], ["openai-compatible", "Another that speaks as OpenAI does"]];
const platformQuery = { queryKey: ["platform", "providers"], queryFn: async () => (await take(api.GET("/v1/platform/providers"))).items };

function Add({ platform, onClose }: { platform: boolean; onClose: () => void }) {
  const [kind, setKind] = useState<Kind>("openai");
  const [name, setName] = useState("openai");
  const [key, setKey] = useState("");
  const [secret, setSecret] = useState("");
  const [address, setAddress] = useState("");
  const act = useAct(async () => {
    const body = { name, kind, ...(key.trim() && { key: key.trim() }), ...(secret.trim() && { key_secret: secret.trim() }), ...(address.trim() && { base_url: address.trim() }) };
    await take(platform ? api.POST("/v1/platform/providers", { body }) : api.POST("/v1/providers", { body }));
    await client.invalidateQueries({ queryKey: platform ? ["platform"] : ["providers"] });
    await client.invalidateQueries({ queryKey: ["providers"] });
  });
  return (
    <Dialog open onClose={onClose} title="Add a provider">
      <form className="grid gap-3 p-4" onSubmit={async (event) => { event.preventDefault(); if (await act.run()) onClose(); }}>
        <Select label="Kind" value={kind} onChange={(event) => { const next = event.target.value as Kind; setKind(next); if (KINDS.some(([one]) => one === name)) setName(next); }}>
          {KINDS.map(([value, title]) => <option key={value} value={value}>{title}</option>)}
        </Select>
        <Field label="Name" required maxLength={40} value={name} onChange={(event) => setName(event.target.value)} autoComplete="off" autoCapitalize="none" spellCheck={false} hint="Models are called by it: name/model." />
        <Field label={kind === "openai-compatible" ? "Address" : "Address, if not its usual one"} type="url" required={kind === "openai-compatible"} value={address} onChange={(event) => setAddress(event.target.value)} placeholder="https://models.example.com/v1" />
        <Field label="Key" type="password" value={key} onChange={(event) => setKey(event.target.value)} autoComplete="off" maxLength={8192} />
        {!platform && <Field label="Or the name of a secret that holds it" value={secret} onChange={(event) => setSecret(event.target.value)} placeholder="OPENAI_KEY" autoComplete="off" spellCheck={false} />}
        <Notice>{act.trouble}</Notice>
        <div className="flex justify-end gap-2"><Button onClick={onClose}>Cancel</Button><Button type="submit" kind="main" busy={act.busy}>Add it</Button></div>
      </form>
    </Dialog>
  );
}

function Row({ provider, platform, may }: { provider: Provider; platform: boolean; may: boolean }) {
  const [asks, setAsks] = useState(false);
  const [found, setFound] = useState<Schemas["ProviderTest"] | null>(null);
  const path = { name: provider.name };
  const test = useAct(async () => setFound(await take(api.POST("/v1/providers/{name}/test", { params: { path } }))));
  const remove = useAct(async () => {
    await take(platform ? api.DELETE("/v1/platform/providers/{name}", { params: { path } }) : api.DELETE("/v1/providers/{name}", { params: { path } }));
    await client.invalidateQueries({ queryKey: ["platform"] });
    await client.invalidateQueries({ queryKey: ["providers"] });
  });
  const demo = provider.kind === "demo";
  return (
    <li className="grid gap-2 px-4 py-3">
      <div className="flex flex-wrap items-center gap-2">
        <span className="min-w-40 flex-1 [overflow-wrap:anywhere]">
          <span className="flex flex-wrap items-center gap-2 font-medium">{provider.name}{provider.platform && !platform && <Badge>of the platform</Badge>}{demo && <Badge tone="wait">built in</Badge>}</span>
          <span className="block text-xs text-soft">{provider.kind}{provider.base_url && `, ${provider.base_url}`}{provider.key_secret ? `, key from ${provider.key_secret}` : provider.has_key ? ", with a key" : ""}</span>
        </span>
        {may && !platform && !demo && <Button aria-label={`Test ${provider.name}`} busy={test.busy} onClick={() => void test.run()}>Test</Button>}
        {may && !demo && (platform || !provider.platform) && <Button kind="bad" aria-label={`Remove ${provider.name}`} onClick={() => setAsks(true)}>Remove</Button>}
      </div>
      <Notice>{test.trouble}</Notice>
      {found && <Notice tone={found.ok ? "good" : "bad"}>{found.detail}{(found.models?.length ?? 0) > 0 && ` It lists ${found.models?.length} ${found.models?.length === 1 ? "model" : "models"}.`} It took {found.duration_ms} ms.</Notice>}
      {asks && <Confirm title={`Remove ${provider.name}?`} action="Remove it" act={remove} onClose={() => setAsks(false)}>Agents that use it get no more answers until they are given another model.</Confirm>}
    </li>
  );
}

export function ProviderCard({ platform }: { platform: boolean }) {
  const me = useMe();
  const may = me.may(platform ? "platform:write" : "providers:write");
  const own = useQuery({ ...providersQuery, enabled: !platform });
  const shared = useQuery({ ...platformQuery, enabled: platform });
  const [adds, setAdds] = useState(false);
  return (
    <Card title={platform ? "Providers for everybody" : "Providers"} flush actions={may && <Button onClick={() => setAdds(true)}>Add a provider</Button>}>
      <Loaded query={platform ? shared : own} rows={2}>
        {(items) => items.length === 0
          ? <Empty title="There are no providers">{platform && "What is added here every org may use, at the platform's cost."}</Empty>
          : <ul className="divide-y divide-line">{items.map((provider) => <Row key={provider.name} provider={provider} platform={platform} may={may} />)}</ul>}
      </Loaded>
      {adds && <Add platform={platform} onClose={() => setAdds(false)} />}
    </Card>
  );
}

function Keys() {
  const may = useMe().may("secrets:write");
  const query = useQuery({ queryKey: ["secrets", "rotation"], queryFn: () => take(api.GET("/v1/secrets/rotate")), refetchInterval: ({ state }) => (state.data?.rotating ? 1000 : false) });
  const rotate = useAct(async () => {
    await take(api.POST("/v1/secrets/rotate"));
    await query.refetch();
  });
  return (
    <Card title="Key of the org" flush>
      <Loaded query={query} rows={1}>
        {(state) => (
          <div className="flex flex-wrap items-center gap-3 p-4">
            <p className="flex-1">{state.key_version === 0 ? "There is none yet: it is made with the first secret or key." : `Version ${state.key_version} seals the org's secrets${state.rotating ? `; ${state.remaining} are still to be sealed by it` : ""}.`}</p>
            {may && state.key_version > 0 && <Button busy={rotate.busy || state.rotating} onClick={() => void rotate.run()}>Exchange it</Button>}
            {state.problem && <Notice className="w-full">{state.problem.detail}</Notice>}
            <Notice className="w-full">{rotate.trouble}</Notice>
          </div>
        )}
      </Loaded>
    </Card>
  );
}

export function Providers() {
  const me = useMe();
  return (
    <Page title="Models and secrets" narrow>
      <ProviderCard platform={false} />
      {me.may("secrets:read") && <Secrets agent={null} />}
      {me.may("secrets:write") && <Keys />}
    </Page>
  );
}
