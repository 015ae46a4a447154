// What is shown when a page fails. A new version of Creel has other files: whoever has the old page open gets the new one.

import { Component, type ReactNode } from "react";

import { Button, Empty } from "./ui/basics";

const RELOADED = "creel-reloaded-at";
/** A page that fails again so soon is not helped by another reload. */
const SOON_MS = 60_000;

/** In the words of each browser: a part of the page is not there. */
const MISSING = /dynamically imported module|importing a module script failed|error loading dynamically|unable to preload css/i;

function reloadOnce(): boolean {
  const last = Number(sessionStorage.getItem(RELOADED) ?? 0);
  if (Date.now() - last < SOON_MS) return false;
  sessionStorage.setItem(RELOADED, String(Date.now()));
  location.reload();
  return true;
}

export class Failed extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override componentDidCatch(error: Error) {
    if (MISSING.test(error.message)) reloadOnce();
  }

  override render() {
    if (!this.state.error) return this.props.children;
    return (
      <Empty title="This page failed" action={<Button kind="main" onClick={() => location.reload()}>Load it again</Button>}>
        {MISSING.test(this.state.error.message) ? "A part of it could not be loaded. Creel may have been upgraded, or you are offline." : "Nothing was lost: what you did is kept where Creel confirmed it."}
      </Empty>
    );
  }
}
