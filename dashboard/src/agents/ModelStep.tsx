// Where an agent's answers come from: the demo, a provider that is there, or one with your own key, which is tried at once.

import { useQuery } from "@tanstack/react-query";
import { useId, useState } from "react";

import { api, type Schemas, take, Trouble } from "../api/client";
import { client, providersQuery, useMe } from "../api/queries";
import { useAct } from "../lib/use";
import { Button, Field, Notice, Select } from "../ui/basics";
import { Choice } from "./New";

type Kind = Exclude<Schemas["ProviderKind"], "demo">;

const KINDS: [Kind, string][] = [
  ["openai", "OpenAI"],
  ["anthropic", "Anthropic"],
  ["gemini", "Google Gemini"],
  ["openai-compatible", "Another that speaks as OpenAI does"],
];

export function ModelField({ provider, value, onChange, models }: { provider: string; value: string; onChange: (value: string) => void; models: string[] }) {
  const id = useId();
  return (
    <>
      <Field
        label={`Model of ${provider}`} required value={value} onChange={(event) => onChange(event.target.value)} list={id} maxLength={200}
        autoComplete="off" autoCapitalize="none" spellCheck={false}
        hint={models.length > 0 ? "As the provider calls it. Its models are suggested as you type." : "As the provider calls it, for example gpt-5."}
      />
      <datalist id={id}>{models.map((model) => <option key={model} value={model} />)}</datalist>
    </>
  );
}

/** Adds a provider and makes a real call. One that fails is taken away again. */
async function tryKey(kind: Kind, key: string, address: string, taken: string[]) {
  let name: string = kind === "openai-compatible" ? "own" : kind;
  for (let number = 2; taken.includes(name); number += 1) name = `${kind === "openai-compatible" ? "own" : kind}-${number}`;
  const body = { name, kind, ...(key && { key }), ...(address && { base_url: address }) };
  await take(api.POST("/v1/providers", { body }));
  const test = await take(api.POST("/v1/providers/{name}/test", { params: { path: { name } } })).catch((error: unknown) => ({ ok: false, detail: error instanceof Error ? error.message : "", models: [] as string[] }));
  if (!test.ok) {
    await take(api.DELETE("/v1/providers/{name}", { params: { path: { name } } }));
    throw new Trouble(test.detail);
  }
  await client.invalidateQueries(providersQuery);
  return { name, detail: test.detail, models: test.models ?? [] };
}

function OwnKey({ taken, done }: { taken: string[]; done: (name: string, detail: string, models: string[]) => void }) {
  const [kind, setKind] = useState<Kind>("openai");
  const [key, setKey] = useState("");
  const [address, setAddress] = useState("");
  const act = useAct(async () => {
    const found = await tryKey(kind, key.trim(), address.trim(), taken);
    done(found.name, found.detail, found.models);
  });
  const own = kind === "openai-compatible";
  return (
    <form className="grid gap-3 rounded-lg border border-line p-3" onSubmit={(event) => { event.preventDefault(); void act.run(); }}>
      <Select label="Provider" value={kind} onChange={(event) => setKind(event.target.value as Kind)}>
        {KINDS.map(([value, title]) => <option key={value} value={value}>{title}</option>)}
      </Select>
      {own && <Field label="Address" type="url" required value={address} onChange={(event) => setAddress(event.target.value)} placeholder="https://models.example.com/v1" hint="Where its API begins." />}
      <Field label={own ? "Key, if it wants one" : "Key"} type="password" required={!own} value={key} onChange={(event) => setKey(event.target.value)} autoComplete="off" maxLength={8192} hint="It is kept sealed and added to calls outside the sandbox: the agent cannot read it." />
      <Notice>{act.trouble}</Notice>
      <Button type="submit" busy={act.busy}>{act.busy ? "Trying it…" : "Try it with a real call"}</Button>
    </form>
  );
}

export function ModelStep({ model, setModel, next }: { model: string; setModel: (model: string) => void; next: () => void }) {
  const me = useMe();
  const providers = useQuery(providersQuery);
  const own = "own key";
  const [chosen, setChosen] = useState(model.split("/")[0] ?? "demo");
  const [name, setName] = useState(model.startsWith("demo/") ? "" : model.slice(model.indexOf("/") + 1));
  const [tried, setTried] = useState<{ name: string; detail: string; models: string[] } | null>(null);
  const real = (providers.data ?? []).filter((provider) => provider.kind !== "demo");
  const ready = chosen === "demo" || (chosen !== own && name.trim() !== "");
  const go = () => {
    setModel(chosen === "demo" ? "demo/demo" : `${chosen}/${name.trim()}`);
    next();
  };
  const choose = (provider: string) => {
    setChosen(provider);
    if (provider !== chosen) setName("");
  };
  return (
    <div className="grid gap-3">
      <fieldset className="grid gap-2">
        <legend className="mb-2 font-semibold">Where do its answers come from?</legend>
        <Choice name="model" checked={chosen === "demo"} onChoose={() => choose("demo")} title="Demo">Needs no key and answers by rote. Good for a look around.</Choice>
        {providers.isPending && <div aria-hidden="true" className="skeleton h-16 rounded-lg" />}
        {real.map((provider) => (
          <Choice key={provider.name} name="model" checked={chosen === provider.name} onChoose={() => choose(provider.name)} title={provider.name}>
            {provider.platform ? "For everybody on this platform: whoever runs it pays." : "A provider of this org."}
          </Choice>
        ))}
        {me.may("providers:write") && <Choice name="model" checked={chosen === own} onChoose={() => choose(own)} title="Your own key">OpenAI, Anthropic, Gemini, or another that speaks as OpenAI does.</Choice>}
      </fieldset>
      {chosen !== "demo" && chosen !== own && (
        <>
          {tried?.name === chosen && <Notice tone="good">{tried.detail}</Notice>}
          <ModelField provider={chosen} value={name} onChange={setName} models={tried?.name === chosen ? tried.models : []} />
        </>
      )}
      <div className="order-last flex justify-end"><Button kind="main" disabled={!ready} onClick={go}>Next</Button></div>
      {chosen === own && <OwnKey taken={(providers.data ?? []).map((provider) => provider.name)} done={(provider, detail, models) => { setTried({ name: provider, detail, models }); choose(provider); }} />}
    </div>
  );
}
