// Getting in: sign-in, second factor, sign-up, forgotten password, and the links of our mails.

import { useQuery } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useEffect, useState } from "react";

import { api, type Schemas, take, Trouble } from "../api/client";
import { type Act, fieldOf, useAct } from "../lib/use";
import { Button, Field, Notice, OutButton } from "../ui/basics";
import { Logo } from "../ui/icons";
import { acceptKept, keep } from "./invitation";
import type { Asked, View } from "./links";
import { offer, signIn, where } from "./passkeys";

const optionsQuery = { queryKey: ["sign-in"], queryFn: () => take(api.GET("/v1/sign-in")), staleTime: 60_000 };

const TITLES: Record<View, string> = {
  "sign-in": "Sign in",
  "second-factor": "One more step",
  forgotten: "Forgotten password",
  reset: "Choose a new password",
  "sign-up": "Sign up",
  finish: "Choose a name and a password",
  join: "You are invited",
  verify: "Is this your address?",
  verified: "Your address is confirmed",
};

const EMAIL = { type: "email", required: true, maxLength: 254, autoCapitalize: "none", spellCheck: false } as const;

type Fields = Record<string, string>;

/** A form that does `act` with its fields. */
function Form({ id, act, children }: { id: string; act: Act<[Fields]>; children: (trouble: (name: string) => string | null) => ReactNode }) {
  const send = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const fields = Object.fromEntries([...new FormData(event.currentTarget)].map(([name, value]) => [name, String(value)]));
    void act.run(fields);
  };
  const field = fieldOf(act.error);
  const shownAt = new Set<string>();
  const trouble = (name: string) => {
    shownAt.add(name);
    return field === name ? act.trouble : null;
  };
  const inside = children(trouble);
  return (
    <form id={id} onSubmit={send} className="grid gap-3">
      {inside}
      {act.trouble && !(field && shownAt.has(field)) && <Notice className="failure">{act.trouble}</Notice>}
    </form>
  );
}

const Small = ({ onClick, children }: { onClick: () => void; children: ReactNode }) => (
  <button type="button" onClick={onClick} className="text-sm text-accent underline underline-offset-2">{children}</button>
);

/** Somebody is in: the page begins anew where it is, or where it was meant to go. */
function inside(to: string | null) {
  if (to) location.assign(to);
  else location.reload();
}

function SignIn({ to, show, onTicket }: { to: string | null; show: (view: View) => void; onTicket: (ticket: string) => void }) {
  const options = useQuery(optionsQuery).data;
  const place = options ? where(options) : null;
  const act = useAct(async (fields: Fields) => {
    const result = await take(api.POST("/v1/sign-in", { body: { email: fields.email ?? "", password: fields.password ?? "" } }));
    if (result.status === "signed_in") inside(to);
    else onTicket(result.ticket);
  });
  const byPasskey = useAct(async () => {
    await signIn();
    inside(to);
  });
  const offered = useAct(async (gone: AbortSignal) => {
    if (await offer(gone)) inside(to);
  });
  const { run } = offered;
  useEffect(() => {
    if (place !== "here") return undefined;
    const gone = new AbortController();
    void run(gone.signal);
    return () => gone.abort();
  }, [place, run]);
  return (
    <>
      <Form id="sign-in" act={act}>
        {(trouble) => (
          <>
            <Field label="E-mail address" name="email" {...EMAIL} autoComplete="username webauthn" autoFocus trouble={trouble("email")} />
            <Field label="Password" name="password" type="password" required maxLength={256} autoComplete="current-password" trouble={trouble("password")} />
            <Button type="submit" kind="main" busy={act.busy}>Sign in</Button>
          </>
        )}
      </Form>
      {place === "here" && (
        <div id="passkey-sign-in" className="grid gap-2">
          <Button onClick={() => void byPasskey.run()} busy={byPasskey.busy}>Sign in with a passkey</Button>
          <Notice className="failure">{byPasskey.trouble ?? offered.trouble}</Notice>
        </div>
      )}
      <Providers options={options} verb="Sign in with" />
      <p className="flex flex-wrap gap-x-4 gap-y-1">
        <Small onClick={() => show("forgotten")}>Forgotten password</Small>
        {options && options.sign_up !== "closed" && <Small onClick={() => show("sign-up")}>Sign up</Small>}
      </p>
      <div className="grid gap-1 border-t border-line pt-3 text-xs text-soft">
        {place === "elsewhere" && <p>Passkeys work at <a className="text-accent underline" href={options?.passkeys_at ?? ""}>{options?.passkeys_at}</a>, not at this address.</p>}
        <p>On the host that runs Creel, <code>creel sign-in</code> prints a link that opens this page once.</p>
      </div>
    </>
  );
}

function Providers({ options, verb }: { options: Schemas["SignInOptions"] | undefined; verb: string }) {
  const providers = options?.providers ?? [];
  if (providers.length === 0) return null;
  return (
    <ul aria-label="Other ways to sign in" className="grid gap-2">
      {providers.map((provider) => (
        <li key={provider.name} className="grid"><OutButton href={`/sign-in/with/${encodeURIComponent(provider.name)}`}>{verb} {provider.label}</OutButton></li>
      ))}
    </ul>
  );
}

function SecondFactor({ ticket, to, show }: { ticket: string; to: string | null; show: (view: View) => void }) {
  const [code, setCode] = useState("");
  const act = useAct(async () => {
    try {
      await take(api.POST("/v1/sign-in/second-factor", { body: { ticket, code } }));
    } catch (error) {
      setCode("");
      throw error;
    }
    inside(to);
  });
  return (
    <>
      <Form id="second-factor" act={act}>
        {(trouble) => (
          <>
            <Field label="Code of your app, or a recovery code" name="code" value={code} onChange={(event) => setCode(event.target.value)} required maxLength={40} autoComplete="one-time-code" autoCapitalize="none" spellCheck={false} autoFocus trouble={trouble("code")} />
            <Button type="submit" kind="main" busy={act.busy}>Go on</Button>
          </>
        )}
      </Form>
      <p><Small onClick={() => show("sign-in")}>Begin again</Small></p>
    </>
  );
}

function Forgotten({ show }: { show: (view: View, said?: string) => void }) {
  const act = useAct(async ({ email = "" }: Fields) => {
    await take(api.POST("/v1/password-resets", { body: { email } }));
    show("sign-in", `If ${email} has an account, a link is on its way there. It is good for an hour.`);
  });
  return (
    <>
      <Form id="forgotten" act={act}>
        {(trouble) => (
          <>
            <Field label="E-mail address" name="email" {...EMAIL} autoComplete="username" autoFocus trouble={trouble("email")} />
            <Button type="submit" kind="main" busy={act.busy}>Send me a link</Button>
          </>
        )}
      </Form>
      <p><Small onClick={() => show("sign-in")}>Back to sign-in</Small></p>
    </>
  );
}

function Reset({ code, show }: { code: string; show: (view: View, said?: string) => void }) {
  const act = useAct(async ({ password = "" }: Fields) => {
    await take(api.POST("/v1/password-resets/confirm", { body: { code, password } }));
    show("sign-in", "Your password is set. Sign in with it.");
  });
  return (
    <>
      <Form id="reset" act={act}>
        {(trouble) => (
          <>
            <Field label="New password, 12 characters or more" name="password" type="password" required minLength={12} maxLength={256} autoComplete="new-password" autoFocus trouble={trouble("password")} />
            <Button type="submit" kind="main" busy={act.busy}>Set it</Button>
          </>
        )}
      </Form>
      <p><Small onClick={() => show("forgotten")}>Send me another link</Small></p>
    </>
  );
}

function SignUp({ code, show }: { code: string; show: (view: View, said?: string) => void }) {
  const mode = useQuery(optionsQuery).data?.sign_up;
  const act = useAct(async ({ email = "", invitation = "" }: Fields) => {
    const code = invitation.trim();
    await take(api.POST("/v1/sign-up", { body: { email, ...(code && { invitation: code }) } }));
    show("sign-in", `A mail is on its way to ${email}. Open its link within a day.`);
  });
  return (
    <>
      <Form id="sign-up" act={act}>
        {(trouble) => (
          <>
            <Field label="E-mail address" name="email" {...EMAIL} autoComplete="username" autoFocus trouble={trouble("email")} />
            {mode !== "open" && <Field label="Code of your invitation" name="invitation" required={mode === "invite"} defaultValue={code} maxLength={256} autoComplete="off" autoCapitalize="none" spellCheck={false} trouble={trouble("invitation")} />}
            <Button type="submit" kind="main" busy={act.busy}>Send me a link</Button>
          </>
        )}
      </Form>
      <p><Small onClick={() => show("sign-in")}>Back to sign-in</Small></p>
    </>
  );
}

/** Joining by an invitation with an account that there is, here or elsewhere. */
function useJoin(code: string, show: (view: View, said?: string) => void) {
  // With an account elsewhere: the code goes along, and is kept in case the account is known here already.
  const join = useAct(async (name: string) => {
    const { url } = await take(api.POST("/v1/sign-in/with/{name}", { params: { path: { name } }, body: { invitation: code } }));
    keep(code);
    location.assign(url);
  });
  const have = useAct(async () => {
    keep(code);
    try {
      await acceptKept();
    } catch (error) {
      if (!(error instanceof Trouble) || error.status !== 401) throw error;
      keep(code);
      show("sign-in", "Sign in, and you join the org.");
    }
  });
  return { join, have };
}

function Join({ code, show }: { code: string; show: (view: View, said?: string) => void }) {
  const options = useQuery(optionsQuery).data;
  const { join, have } = useJoin(code, show);
  return (
    <>
      <p className="text-soft">Whoever sent you this link wants you in their org.</p>
      <Button kind="main" busy={have.busy} onClick={() => void have.run()}>I have an account</Button>
      {(options?.providers ?? []).map((provider) => (
        <Button key={provider.name} busy={join.busy} onClick={() => void join.run(provider.name)}>Go in with {provider.label}</Button>
      ))}
      {options && options.sign_up !== "closed" && <Button onClick={() => show("sign-up")}>I am new here</Button>}
      <Notice className="failure">{join.trouble ?? have.trouble}</Notice>
      <p className="border-t border-line pt-3 text-xs text-soft">On a command line, <code>creel join</code> with the code at the end of the link does the same.</p>
    </>
  );
}

function Finish({ code, invited, show }: { code: string; invited: boolean; show: (view: View, said?: string) => void }) {
  const providers = useQuery(optionsQuery).data?.providers ?? [];
  const { join, have } = useJoin(code, show);
  const act = useAct(async ({ name = "", password = "" }: Fields) => {
    await take(api.POST("/v1/sign-up/confirm", { body: { code, name, password } }));
    location.assign("/");
  });
  return (
    <>
      <Form id="finish" act={act}>
        {(trouble) => (
          <>
            <Field label="What others call you" name="name" required maxLength={100} autoComplete="name" autoFocus trouble={trouble("name")} />
            <Field label="Password, 12 characters or more" name="password" type="password" required minLength={12} maxLength={256} autoComplete="new-password" trouble={trouble("password")} />
            <Button type="submit" kind="main" busy={act.busy}>Go in</Button>
          </>
        )}
      </Form>
      {invited && providers.map((provider) => (
        <Button key={provider.name} busy={join.busy} onClick={() => void join.run(provider.name)}>Go in with {provider.label}</Button>
      ))}
      <Notice className="failure">{join.trouble ?? have.trouble}</Notice>
      {invited && <p><Small onClick={() => void have.run()}>I have an account</Small></p>}
    </>
  );
}

function Verify({ code, show }: { code: string; show: (view: View) => void }) {
  const act = useAct(async () => {
    await take(api.POST("/v1/verify-email", { body: { code } }));
    show("verified");
  });
  return <Form id="verify" act={act}>{() => <Button type="submit" kind="main" busy={act.busy}>Yes, it is mine</Button>}</Form>;
}

export function Enter({ link }: { link: Asked }) {
  const [view, setView] = useState<View>(link.view ?? "sign-in");
  const [said, setSaid] = useState<string | null>(null);
  const [ticket, setTicket] = useState(link.view === "second-factor" ? link.secret : "");
  useEffect(() => {
    setView(link.view ?? "sign-in");
    if (link.view === "second-factor") setTicket(link.secret);
  }, [link]);
  const invitation = link.view === "join" ? link.secret : "";
  const show = (next: View, sentence?: string) => {
    setView(next);
    setSaid(sentence ?? null);
  };
  const withTicket = (given: string) => {
    setTicket(given);
    show("second-factor");
  };
  return (
    <main className="grid min-h-dvh content-center justify-items-center gap-4 p-4">
      <title>{`${TITLES[view]} · Creel`}</title>
      <p className="flex items-center gap-2 text-lg font-semibold"><Logo />Creel</p>
      <div className="grid w-full max-w-sm gap-4 rounded-xl border border-line bg-panel p-6 shadow-sm">
        <h1 className="text-lg font-semibold">{TITLES[view]}</h1>
        <Notice tone="good">{said}</Notice>
        {view === "sign-in" && <SignIn to={link.to} show={show} onTicket={withTicket} />}
        {view === "second-factor" && <SecondFactor ticket={ticket} to={link.to} show={show} />}
        {view === "forgotten" && <Forgotten show={show} />}
        {view === "reset" && <Reset code={link.secret} show={show} />}
        {view === "sign-up" && <SignUp code={invitation} show={show} />}
        {view === "finish" && <Finish code={link.secret} invited={link.invited} show={show} />}
        {view === "join" && <Join code={link.secret} show={show} />}
        {view === "verify" && <Verify code={link.secret} show={show} />}
        {view === "verified" && <p><a className="text-accent underline" href="/">Go to Creel</a></p>}
      </div>
    </main>
  );
}
