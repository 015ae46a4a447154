// What an address asks for behind its #, where no server sees it: the codes of our mails, and coming back from elsewhere.

import { dropKept } from "./invitation";

export type View = "sign-in" | "second-factor" | "forgotten" | "reset" | "sign-up" | "finish" | "join" | "verify" | "verified";

export interface Asked {
  /** Null: nothing but to be let in. */
  view: View | null;
  /** A mail's code, or half a sign-in. */
  secret: string;
  /** A code that lets somebody into an org. */
  invited: boolean;
  /** Where to go once somebody is in; null: stay. */
  to: string | null;
}

/** `invitation` is a code that came by mail, and shows whose address it is; `join` is one that somebody passed on. */
const VIEWS: Record<string, View> = { reset: "reset", verify: "verify", "sign-up": "finish", invitation: "finish", join: "join" };

/** Pure: what `hash` asks for. */
export function read(hash: string): Asked {
  const nothing: Asked = { view: null, secret: "", invited: false, to: null };
  const half = /^#second-factor=([0-9a-f]+)(?:&to=(\/(?![/\\]).*))?$/.exec(hash);
  if (half) return { ...nothing, view: "second-factor", secret: half[1] ?? "", to: half[2] ?? null };
  // To an agent's own page.
  const to = /^#to=([\w.~%-]+)$/.exec(hash);
  if (to) return { ...nothing, to: `/sign-in/page?to=${to[1]}` };
  const [, what, secret] = /^#(reset|verify|sign-up|invitation|join)=([\w-]+)$/.exec(hash) ?? [];
  if (what && secret) return { ...nothing, view: VIEWS[what] ?? null, secret, invited: what === "invitation" };
  return nothing;
}

/** What this address asks for. Its secret leaves the address bar at once. */
export function asked(): Asked {
  const hash = location.hash;
  const found = read(hash);
  if (hash === "#joined") dropKept();
  if (hash === "#account") history.replaceState(null, "", "/account");
  else if (hash === "#joined" || found.view !== null || found.to !== null) history.replaceState(null, "", location.pathname);
  return found;
}
