// Who else says who somebody is: Google, GitHub and other providers of OpenID Connect.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api, type Schemas, take } from "../api/client";
import { client } from "../api/queries";
import { useAct } from "../lib/use";
import { Button, Card, Empty, Field, Loaded, Notice, Page, Select } from "../ui/basics";
import { Copy } from "../ui/copy";
import { Confirm, Dialog } from "../ui/dialog";

type Provider = Schemas["SsoProvider"];

const NEWCOMERS: [string, string][] = [
  ["sign_up", "As sign-up here lets people in"],
  ["invited", "Those who are invited"],
  ["nobody", "Nobody"],
  ["viewer", "All, as viewers of the first org"],
  ["developer", "All, as developers of the first org"],
  ["admin", "All, as admins of the first org"],
];

function Add({ onClose }: { onClose: () => void }) {
  const [kind, setKind] = useState<Schemas["SsoKind"]>("oidc");
  const [name, setName] = useState("");
  const [label, setLabel] = useState("");
  const [issuer, setIssuer] = useState("");
  const [clientId, setClientId] = useState("");
  const [secret, setSecret] = useState("");
  const [domains, setDomains] = useState("");
  const [newcomers, setNewcomers] = useState("sign_up");
  const act = useAct(async () => {
    await take(api.POST("/v1/sso", {
      body: {
        name, kind, client_id: clientId.trim(), newcomers, email_domains: domains.split(/[\s,]+/).filter(Boolean),
        ...(label.trim() && { label: label.trim() }), ...(issuer.trim() && { issuer: issuer.trim() }), ...(secret && { client_secret: secret }),
      },
    }));
    await client.invalidateQueries({ queryKey: ["sso"] });
    await client.invalidateQueries({ queryKey: ["sign-in"] });
  });
  const text = { autoComplete: "off", autoCapitalize: "none", spellCheck: false } as const;
  return (
    <Dialog open onClose={onClose} title="Add a sign-in provider">
      <form className="grid gap-3 p-4" onSubmit={async (event) => { event.preventDefault(); if (await act.run()) onClose(); }}>
        <Select label="Kind" value={kind} onChange={(event) => setKind(event.target.value as Schemas["SsoKind"])}><option value="oidc">OpenID Connect</option><option value="github">GitHub</option></Select>
        <Field label="Name" required maxLength={40} value={name} onChange={(event) => setName(event.target.value)} placeholder="company" {...text} autoFocus hint="Once it is added you see the address that it leads back to, which the provider asks for." />
        <Field label="What people see" maxLength={100} value={label} onChange={(event) => setLabel(event.target.value)} placeholder="Company" />
        {kind === "oidc" && <Field label="Issuer" type="url" required value={issuer} onChange={(event) => setIssuer(event.target.value)} placeholder="https://accounts.google.com" {...text} />}
        <Field label="Client id" required value={clientId} onChange={(event) => setClientId(event.target.value)} {...text} />
        <Field label="Client secret" type="password" value={secret} onChange={(event) => setSecret(event.target.value)} autoComplete="off" />
        <Select label="Who may come in that nobody knows" value={newcomers} onChange={(event) => setNewcomers(event.target.value)}>{NEWCOMERS.map(([value, title]) => <option key={value} value={value}>{title}</option>)}</Select>
        <Field label="Only from these domains" value={domains} onChange={(event) => setDomains(event.target.value)} placeholder="example.com" {...text} />
        <Notice>{act.trouble}</Notice>
        <div className="flex justify-end gap-2"><Button onClick={onClose}>Cancel</Button><Button type="submit" kind="main" busy={act.busy}>Add it</Button></div>
      </form>
    </Dialog>
  );
}

function Row({ provider }: { provider: Provider }) {
  const [asks, setAsks] = useState(false);
  const [found, setFound] = useState<Schemas["SsoTest"] | null>(null);
  const path = { name: provider.name };
  const test = useAct(async () => setFound(await take(api.POST("/v1/sso/{name}/test", { params: { path } }))));
  const remove = useAct(async () => {
    await take(api.DELETE("/v1/sso/{name}", { params: { path } }));
    await client.invalidateQueries({ queryKey: ["sso"] });
  });
  const who = NEWCOMERS.find(([value]) => value === provider.newcomers)?.[1] ?? provider.newcomers;
  return (
    <li className="grid gap-2 px-4 py-3">
      <div className="flex flex-wrap items-center gap-2">
        <span className="min-w-48 flex-1 [overflow-wrap:anywhere]">
          <span className="font-medium">{provider.label}</span>
          <span className="block text-xs text-soft">{provider.name}, {provider.kind}, {provider.issuer}. Newcomers: {who}{(provider.email_domains?.length ?? 0) > 0 && `, from ${provider.email_domains?.join(", ")}`}</span>
        </span>
        <Button aria-label={`Test ${provider.name}`} busy={test.busy} onClick={() => void test.run()}>Test</Button>
        <Button kind="bad" aria-label={`Remove ${provider.name}`} onClick={() => setAsks(true)}>Remove</Button>
      </div>
      <Copy text={provider.callback_url} label={`Where ${provider.name} leads back to`} />
      <Notice>{test.trouble}</Notice>
      {found && <Notice tone={found.ok ? "good" : "bad"}>{found.detail}</Notice>}
      {asks && <Confirm title={`Remove ${provider.label}?`} action="Remove it" act={remove} onClose={() => setAsks(false)}>Nobody signs in by it any more. Who has no other way in needs a link.</Confirm>}
    </li>
  );
}

export function SignInProviders() {
  const query = useQuery({ queryKey: ["sso"], queryFn: async () => (await take(api.GET("/v1/sso"))).items, retry: false });
  const [adds, setAdds] = useState(false);
  return (
    <Page title="Sign-in" narrow actions={<Button kind="main" onClick={() => setAdds(true)}>Add a provider</Button>}>
      <Card flush>
        <Loaded query={query} rows={2}>
          {(items) => items.length === 0
            ? <Empty title="There are no sign-in providers">People sign in by passkey, by password, or by a link. With a provider they do with Google, GitHub or your own.</Empty>
            : <ul className="divide-y divide-line">{items.map((provider) => <Row key={provider.name} provider={provider} />)}</ul>}
        </Loaded>
      </Card>
      {adds && <Add onClose={() => setAdds(false)} />}
    </Page>
  );
}
