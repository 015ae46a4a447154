// Which page is shown: by who is signed in, by what a link asks for, and by the address.

import { useQuery } from "@tanstack/react-query";
import { type ComponentType, lazy, Suspense, useEffect, useState } from "react";

import { meQuery, useMe } from "./api/queries";
import { acceptKept } from "./enter/invitation";
import { Enter } from "./enter/Enter";
import { type Asked, asked } from "./enter/links";
import { Failed } from "./Failed";
import { match, navigate, usePath } from "./lib/router";
import { SECTIONS } from "./shell/pages";
import { Shell } from "./shell/Shell";
import { Empty, Lines, LinkButton, Page } from "./ui/basics";
import { Agents } from "./agents/Agents";

type Params = Record<string, string>;
const page = (load: () => Promise<ComponentType<Params>>) => lazy(async () => ({ default: await load() }));

const New = page(async () => (await import("./agents/New")).New);
const Account = page(async () => (await import("./account/Account")).Account);
const Device = page(async () => (await import("./account/Device")).Device);
const Agent = page(async () => (await import("./agents/Agent")).AgentPage as ComponentType<Params>);

/** What the navigation leads to; each is there for whoever has the right that its entry names. */
const PLACES: Record<string, ComponentType<Params>> = {
  "/org/members": page(async () => (await import("./org/Members")).Members),
  "/org/models": page(async () => (await import("./org/Providers")).Providers),
  "/org/tokens": page(async () => (await import("./org/Tokens")).Tokens),
  "/org/usage": page(async () => (await import("./org/Usage")).Usage),
  "/org/audit": page(async () => (await import("./org/Audit")).Audit),
  "/operator/host": page(async () => (await import("./operator/Host")).Host),
  "/operator/orgs": page(async () => (await import("./operator/Orgs")).Orgs),
  "/operator/models": page(async () => (await import("./operator/PlatformModels")).PlatformModels),
  "/operator/sign-in": page(async () => (await import("./operator/SignIn")).SignInProviders),
  "/operator/operators": page(async () => (await import("./operator/Operators")).Operators),
};

/** The first that fits is shown. */
const ROUTES: [string, ComponentType<Params>][] = [
  ["/agents", Agents],
  ["/new", New],
  ["/account", Account],
  ["/device", Device],
  ["/agents/:agent", Agent],
  ["/agents/:agent/:panel", Agent],
  ["/agents/:agent/:panel/:rest", Agent],
];

function Nothing() {
  return (
    <Page title="Not found">
      <Empty title="There is nothing at this address." action={<LinkButton href="/agents">Go to the agents</LinkButton>}>
        It may have been deleted, or the link is not complete.
      </Empty>
    </Page>
  );
}

function NotAllowed({ name }: { name: string }) {
  const me = useMe();
  return (
    <Page title={name}>
      <Empty title="Your role does not reach this" action={<LinkButton href="/agents">Go to the agents</LinkButton>}>
        You are {me.role} of {me.org_name}. Ask an owner or admin of the org for another role.
      </Empty>
    </Page>
  );
}

/** Of the height of a page, so that nothing moves when it comes. */
function Coming() {
  return (
    <div className="mx-auto grid w-full max-w-6xl gap-4 p-4 sm:p-6">
      <div className="skeleton h-7 w-40" />
      <div className="rounded-lg border border-line bg-panel"><Lines rows={6} /></div>
    </div>
  );
}

function Inside() {
  const me = useMe();
  const path = usePath();
  useEffect(() => {
    if (path === "/") navigate("/agents", { replace: true });
  }, [path]);
  useEffect(() => void acceptKept().catch(() => {}), []);
  const place = SECTIONS.flatMap(({ places }) => places).find(({ href }) => href === path);
  const Placed = PLACES[path];
  if (place && Placed) {
    return <Shell>{me.may(place.needs) ? <Failed key={path}><Suspense fallback={<Coming />}><Placed key={me.org} /></Suspense></Failed> : <NotAllowed name={place.name} />}</Shell>;
  }
  for (const [pattern, Shown] of ROUTES) {
    const params = match(pattern, path);
    if (params) return <Shell><Failed key={params.agent ?? path}><Suspense fallback={<Coming />}><Shown key={me.org} {...params} /></Suspense></Failed></Shell>;
  }
  return <Shell>{path === "/" ? <Coming /> : <Nothing />}</Shell>;
}

export function App() {
  const me = useQuery(meQuery);
  // Read once: what stands behind the # is a secret and leaves the address bar.
  const [link, setLink] = useState<Asked>(asked);
  useEffect(() => {
    const changed = () => setLink(asked());
    window.addEventListener("hashchange", changed);
    return () => window.removeEventListener("hashchange", changed);
  }, []);
  if (me.isPending) return <div className="min-h-dvh" aria-busy="true" />;
  if (me.data && link.view === null) return <Inside />;
  if (me.isError) {
    return (
      <div className="grid min-h-dvh place-content-center">
        <Empty title="Creel cannot be reached" action={<button type="button" className="underline" onClick={() => void me.refetch()}>Try again</button>}>
          {me.error.message}
        </Empty>
      </div>
    );
  }
  return <Enter link={link} />;
}
