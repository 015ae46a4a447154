// What people keep about themselves: address, password, second factor, other accounts, passkeys, browsers.

import { useQuery } from "@tanstack/react-query";
import { createContext, type FormEvent, type ReactNode, useContext, useState } from "react";

import { api, type Schemas, take } from "../api/client";
import { client } from "../api/queries";
import { where } from "../enter/passkeys";
import { moment } from "../lib/format";
import { type Act, fieldOf, useAct } from "../lib/use";
import { Button, Card, Check, Field, Lines, Notice, Page } from "../ui/basics";
import { Passkeys } from "./Passkeys";
import { NOW, optional, proven } from "./proof";

export interface Self {
  me: Schemas["Me"];
  passkeys: Schemas["Passkey"][];
  options: Schemas["SignInOptions"];
  identities: Schemas["LinkedIdentity"][];
  /** A passkey may stand for the password. */
  byPasskey: boolean;
  /** Says what was done, and asks everything anew. */
  said: (sentence: string) => Promise<void>;
}

const SelfContext = createContext<Self | null>(null);
export function useSelf(): Self {
  const self = useContext(SelfContext);
  if (!self) throw new Error("outside of the account");
  return self;
}

type Fields = Record<string, string>;

/** A form of the account; it is empty again after it has worked. */
export function Form({ id, act, children }: { id: string; act: Act<[Fields]>; children: (trouble: (name: string) => string | null) => ReactNode }) {
  const field = fieldOf(act.error);
  const shown = new Set<string>();
  const trouble = (name: string) => {
    shown.add(name);
    return field === name ? act.trouble : null;
  };
  const send = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    const fields = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value)]));
    if (await act.run(fields)) form.reset();
  };
  const inside = children(trouble);
  return (
    <form id={id} onSubmit={(event) => void send(event)} className="grid gap-3">
      {inside}
      {act.trouble && !(field && shown.has(field)) && <Notice className="failure">{act.trouble}</Notice>}
    </form>
  );
}

export function Current({ name = "password", trouble }: { name?: string; trouble?: string | null }) {
  const { me } = useSelf();
  if (!me.password) return null;
  return <Field label={NOW} name={name} type="password" maxLength={256} autoComplete="current-password" trouble={trouble} />;
}

function Email() {
  const { me, byPasskey, said } = useSelf();
  const act = useAct(async ({ email = "", password = "" }: Fields) => {
    const body = { email, ...optional("password", password) };
    await proven(password, byPasskey, () => take(api.PUT("/v1/me/email", { body })));
    await said(`A link is on its way to ${email}. Open it within a day.`);
  });
  return (
    <Card title="E-mail address">
      <p>It is: {me.email ? <>{me.email}{!me.email_verified && " (not confirmed yet)"}</> : "none yet"}</p>
      <Form id="set-email" act={act}>
        {(trouble) => (
          <>
            <Field label="New address" name="email" type="email" required maxLength={254} autoComplete="email" autoCapitalize="none" spellCheck={false} trouble={trouble("email")} />
            <Current trouble={trouble("password")} />
            <div><Button type="submit" busy={act.busy}>Change address</Button></div>
          </>
        )}
      </Form>
    </Card>
  );
}

function Password() {
  const { byPasskey, said } = useSelf();
  const act = useAct(async (fields: Fields) => {
    const current = fields.current ?? "";
    const body = { new: fields.new ?? "", ...optional("current", current) };
    await proven(current, byPasskey, () => take(api.PUT("/v1/me/password", { body })));
    await said("Your password is set. Other browsers were signed out.");
  });
  return (
    <Card title="Password">
      <Form id="set-password" act={act}>
        {(trouble) => (
          <>
            <Current name="current" trouble={trouble("current")} />
            <Field label="New password, 12 characters or more" name="new" type="password" required minLength={12} maxLength={256} autoComplete="new-password" trouble={trouble("new")} />
            <div><Button type="submit" busy={act.busy}>Set password</Button></div>
          </>
        )}
      </Form>
    </Card>
  );
}

function SecondFactor() {
  const { me, byPasskey, said } = useSelf();
  const [enrolment, setEnrolment] = useState<Schemas["TotpEnrolment"] | null>(null);
  const [codes, setCodes] = useState<string[] | null>(null);
  const enrol = useAct(async ({ password = "" }: Fields) => {
    const body = optional("password", password);
    setEnrolment(await proven(password, byPasskey, () => take(api.POST("/v1/me/totp", { body }))));
  });
  const confirm = useAct(async ({ code = "" }: Fields) => {
    const { recovery_codes } = await take(api.POST("/v1/me/totp/confirm", { body: { code } }));
    setEnrolment(null);
    setCodes(recovery_codes);
    await said("Sign-in asks for a code of your app from now on.");
  });
  const disable = useAct(async ({ password = "" }: Fields) => {
    const body = optional("password", password);
    await proven(password, byPasskey, () => take(api.POST("/v1/me/totp/disable", { body })));
    setCodes(null);
    await said("Sign-in asks for no code any more.");
  });
  return (
    <Card title="Second factor">
      <p>{me.second_factor ? `Sign-in asks for a code of your app, but not after a passkey. ${me.recovery_codes_left} recovery codes are left.` : "Sign-in asks for no code."}</p>
      {!me.second_factor && !enrolment && (
        <Form id="totp-enrol" act={enrol}>
          {(trouble) => <><Current trouble={trouble("password")} /><div><Button type="submit" busy={enrol.busy}>Add an app</Button></div></>}
        </Form>
      )}
      {enrolment && (
        <Form id="totp-confirm" act={confirm}>
          {(trouble) => (
            <>
              <p>Add this key to your app, or <a href={enrolment.uri} className="text-accent underline">open it in an app on this device</a>:</p>
              <p><code id="totp-secret" className="select-all">{enrolment.secret.match(/.{1,4}/g)?.join(" ")}</code></p>
              <Field label="The code that it shows now" name="code" required maxLength={10} inputMode="numeric" autoComplete="one-time-code" trouble={trouble("code")} />
              <div><Button type="submit" kind="main" busy={confirm.busy}>Confirm</Button></div>
            </>
          )}
        </Form>
      )}
      {codes && (
        <div role="status" className="grid gap-2">
          <p>Each of these gets you in once when the app is lost. Keep them: they are not shown again.</p>
          <pre id="recovery-codes" tabIndex={0} className="overflow-x-auto rounded-md bg-sunken p-3 select-all">{codes.join("\n")}</pre>
        </div>
      )}
      {me.second_factor && (
        <Form id="totp-disable" act={disable}>
          {(trouble) => <><Current trouble={trouble("password")} /><div><Button type="submit" kind="bad" busy={disable.busy}>Remove the app</Button></div></>}
        </Form>
      )}
    </Card>
  );
}

function Identities() {
  const { options, identities, byPasskey, said } = useSelf();
  const [password, setPassword] = useState("");
  const act = useAct((work: () => Promise<void>) => proven(password, byPasskey, work));
  const known = new Set(identities.map((one) => one.provider?.name));
  const linkable = (options.providers ?? []).filter((one) => !known.has(one.name));
  if (identities.length === 0 && linkable.length === 0) return null;
  const unlink = (one: Schemas["LinkedIdentity"], at: string) => async () => {
    await take(api.POST("/v1/me/identities/{identity}/unlink", { params: { path: { identity: one.id } }, body: optional("password", password) }));
    setPassword("");
    await said(`${at} is unlinked.`);
  };
  const link = (provider: string) => async () => {
    const { url } = await take(api.POST("/v1/me/identities", { body: { provider, ...optional("password", password) } }));
    location.assign(url);
  };
  return (
    <Card title="Sign-in with other accounts">
      <ul id="my-identities" className="grid gap-2 empty:hidden">
        {identities.map((one) => {
          const at = one.provider?.label ?? one.issuer;
          const who = `${at}: ${one.email ?? one.subject}`;
          return (
            <li key={one.id} className="flex items-center gap-3 [overflow-wrap:anywhere]">
              <span className="flex-1">{who}</span>
              <Button aria-label={`Unlink ${who}`} busy={act.busy} onClick={() => void act.run(unlink(one, at))}>Unlink</Button>
            </li>
          );
        })}
      </ul>
      <PasswordHere value={password} onChange={setPassword} />
      <Notice className="failure">{act.trouble}</Notice>
      <div className="flex flex-wrap gap-2 empty:hidden">{linkable.map((one) => <Button key={one.name} busy={act.busy} onClick={() => void act.run(link(one.name))}>Link {one.label}</Button>)}</div>
    </Card>
  );
}

function PasswordHere({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const { me } = useSelf();
  if (!me.password) return null;
  return <Field label={NOW} type="password" maxLength={256} autoComplete="current-password" value={value} onChange={(event) => onChange(event.target.value)} />;
}

function Browsers() {
  const browsers = useQuery({ queryKey: ["me", "browsers"], queryFn: async () => (await take(api.GET("/v1/browser-sessions"))).items });
  const end = useAct(async (browser_session: string) => {
    await take(api.DELETE("/v1/browser-sessions/{browser_session}", { params: { path: { browser_session } } }));
    await browsers.refetch();
  });
  const everywhere = useAct(async (fields: Fields) => {
    await take(api.POST("/v1/sign-out-everywhere", { body: { tokens: fields.tokens === "on" } }));
    location.assign("/");
  });
  return (
    <Card title="Browsers">
      {!browsers.data && <Lines rows={2} />}
      <ul className="grid gap-2">
        {browsers.data?.map((session) => {
          const seen = moment(session.seen_at);
          const name = session.browser || "a browser";
          return (
            <li key={session.id} className="flex items-center gap-3 [overflow-wrap:anywhere]">
              <span className="flex-1">{name}{session.current && ", this one"}<span className="block text-xs text-soft">last seen {seen}</span></span>
              {!session.current && <Button aria-label={`Sign out ${name}, last seen ${seen}`} busy={end.busy} onClick={() => void end.run(session.id)}>Sign out</Button>}
            </li>
          );
        })}
      </ul>
      <Notice>{end.trouble}</Notice>
      <Form id="everywhere" act={everywhere}>
        {() => (
          <>
            <Check name="tokens" label="Revoke all of my tokens as well" />
            <div><Button type="submit" kind="bad" busy={everywhere.busy}>Sign out everywhere</Button></div>
          </>
        )}
      </Form>
    </Card>
  );
}

const selfQuery = {
  queryKey: ["me", "account"],
  queryFn: async () => {
    const [me, passkeys, options, identities] = await Promise.all([
      take(api.GET("/v1/me")), take(api.GET("/v1/me/passkeys")), take(api.GET("/v1/sign-in")), take(api.GET("/v1/me/identities")),
    ]);
    return { me, passkeys: passkeys.items, options, identities: identities.items };
  },
};

export function Account() {
  const query = useQuery(selfQuery);
  const [sentence, setSentence] = useState("");
  const said = async (text: string) => {
    await client.invalidateQueries(selfQuery);
    setSentence(text);
  };
  const self = query.data;
  const byPasskey = self !== undefined && where(self.options) === "here" && self.passkeys.some((passkey) => passkey.usable);
  return (
    <Page title="Account" narrow>
      <div id="account-said" role="status" className="contents">{sentence && <p className="rounded-md bg-good-tint px-3 py-2 text-good">{sentence}</p>}</div>
      {query.error && !self && <Notice>{query.error.message}</Notice>}
      {!self && !query.error && <div className="rounded-lg border border-line bg-panel"><Lines rows={8} /></div>}
      {self && (
        <SelfContext value={{ ...self, byPasskey, said }}>
          {byPasskey && self.me.password && <p className="text-soft">Where your current password is asked for, your passkey will do: leave the field empty.</p>}
          <Passkeys />
          <Email />
          <Password />
          <SecondFactor />
          <Identities />
          <Browsers />
        </SelfContext>
      )}
    </Page>
  );
}
