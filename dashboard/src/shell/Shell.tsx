// What is around every page: the navigation, who is signed in, and whether Creel is heard from.

import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";

import { api, take } from "../api/client";
import { useLive } from "../api/live";
import { agentsQuery, useMe } from "../api/queries";
import { Dot } from "../agents/state";
import { Link, navigate, usePath } from "../lib/router";
import { choose, type Choice, useTheme } from "../lib/theme";
import { Button, cx } from "../ui/basics";
import { Dialog } from "../ui/dialog";
import { Icon, Logo } from "../ui/icons";
import { Menu, MenuChoice, MenuItem, MenuLine } from "../ui/menu";
import { Palette } from "./Palette";
import { SECTIONS } from "./pages";

const NAV = "flex min-h-8 items-center gap-2.5 rounded-md px-2 text-sm";

function NavLink({ href, exact, children }: { href: string; exact?: boolean; children: ReactNode }) {
  const path = usePath();
  const here = path === href || (!exact && path.startsWith(`${href}/`));
  return (
    <Link href={href} aria-current={here ? "page" : undefined} className={cx(NAV, here ? "bg-tint font-medium text-text" : "text-soft hover:bg-sunken hover:text-text")}>
      {children}
    </Link>
  );
}

/** The agents one goes to most are one click away. */
const AGENTS_SHOWN = 12;

function Navigation() {
  const me = useMe();
  const agents = useQuery(agentsQuery).data ?? [];
  return (
    <nav aria-label="Main" className="grid gap-4">
      {SECTIONS.map(({ title, places }) => {
        const mine = places.filter((place) => me.may(place.needs));
        if (mine.length === 0) return null;
        return (
          <div key={title} className="grid gap-0.5">
            <p className="px-2 pb-0.5 text-xs font-medium text-soft">{title}</p>
            {mine.map((place) => (
              <div key={place.href} className="grid gap-0.5">
                <NavLink href={place.href} exact><Icon name={place.icon} />{place.name}</NavLink>
                {place.href === "/agents" && agents.length > 0 && (
                  <div className="grid gap-0.5 pl-4">
                    {agents.slice(0, AGENTS_SHOWN).map((agent) => (
                      <NavLink key={agent.id} href={`/agents/${agent.name}`}>
                        <Dot status={agent.status} /><span className="truncate">{agent.name}</span>
                      </NavLink>
                    ))}
                  </div>
                )}
              </div>
            ))}
          </div>
        );
      })}
    </nav>
  );
}

function Who() {
  const me = useMe();
  const theme = useTheme();
  const orgs = useQuery({ queryKey: ["me", "self"], queryFn: () => take(api.GET("/v1/me")) }).data?.orgs ?? [];
  const signOut = async () => {
    await api.POST("/v1/sign-out");
    location.assign("/");
  };
  const switchTo = async (org: string) => {
    await take(api.POST("/v1/me/org", { body: { org } }));
    // All that is known belongs to the org before.
    location.assign("/");
  };
  return (
    <Menu
      align="start"
      trigger={
        <button type="button" className="flex w-full min-w-0 items-center gap-2 rounded-md p-1.5 text-left hover:bg-sunken">
          <span aria-hidden="true" className="grid size-7 shrink-0 place-items-center rounded-full bg-tint text-xs font-semibold text-accent">{me.user_name.slice(0, 1).toUpperCase()}</span>
          <span className="min-w-0 flex-1 leading-tight">
            <span className="block truncate text-sm font-medium">{me.user_name}</span>
            <span className="block truncate text-xs text-soft">{me.org_name} · {me.role}</span>
            <span className="sr-only">: account and theme</span>
          </span>
          <Icon name="down" className="size-3.5 text-soft" />
        </button>
      }
    >
      <MenuItem onSelect={() => navigate("/account")}>Account</MenuItem>
      {orgs.length > 1 && (
        <>
          <MenuLine />
          <MenuChoice label="Org" value={me.org} onChange={(org) => void switchTo(org)} choices={orgs.map((org) => [org.id, `${org.name} (${org.role})`])} />
        </>
      )}
      <MenuLine />
      <MenuChoice label="Theme" value={theme} onChange={(choice) => choose(choice as Choice)} choices={[["system", "As the system"], ["light", "Light"], ["dark", "Dark"]]} />
      <MenuLine />
      <MenuItem onSelect={() => void signOut()}>Sign out</MenuItem>
    </Menu>
  );
}

function PaletteButton({ onOpen, className }: { onOpen: () => void; className?: string }) {
  return (
    <button type="button" onClick={onOpen} className={cx("flex min-h-9 items-center gap-2 rounded-md border border-line bg-panel px-2.5 text-sm text-soft hover:text-text", className)}>
      <Icon name="search" />
      <span className="flex-1 text-left">Go to…</span>
      <kbd className="rounded border border-line px-1 text-xs">Ctrl K</kbd>
    </button>
  );
}

export function Shell({ children }: { children: ReactNode }) {
  const me = useMe();
  const path = usePath();
  const connected = useLive(me.org);
  const [palette, setPalette] = useState(false);
  const [menu, setMenu] = useState(false);
  useEffect(() => setMenu(false), [path]);
  useEffect(() => {
    const key = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey) return;
      event.preventDefault();
      setPalette((open) => !open);
    };
    // Before a terminal takes it.
    window.addEventListener("keydown", key, { capture: true });
    return () => window.removeEventListener("keydown", key, { capture: true });
  }, []);
  return (
    <div className="flex min-h-dvh flex-col lg:grid lg:grid-cols-[15rem_minmax(0,1fr)]">
      <a href="#main" className="sr-only focus:not-sr-only focus:absolute focus:z-50 focus:bg-panel focus:p-2">To the page</a>
      <header className="sticky top-0 z-30 flex h-13 items-center gap-2 border-b border-line bg-bg px-3 lg:hidden">
        <Link href="/agents" className="flex items-center gap-2 font-semibold"><Logo />Creel</Link>
        <span className="flex-1" />
        <Button kind="quiet" aria-label="Go to…" onClick={() => setPalette(true)}><Icon name="search" className="size-5" /></Button>
        <Button kind="quiet" aria-label="Menu" aria-expanded={menu} onClick={() => setMenu(true)}><Icon name="menu" className="size-5" /></Button>
      </header>
      <aside className="sticky top-0 hidden h-dvh flex-col gap-4 overflow-y-auto border-r border-line p-3 lg:flex">
        <Link href="/agents" className="flex items-center gap-2 px-1 text-base font-semibold"><Logo />Creel</Link>
        <PaletteButton onOpen={() => setPalette(true)} />
        <Navigation />
        <span className="flex-1" />
        <Who />
      </aside>
      <Dialog open={menu} onClose={() => setMenu(false)} title="Menu" hideTitle className="top-2 translate-y-0">
        <div className="grid gap-4 p-3"><Navigation /><Who /></div>
      </Dialog>
      <Palette open={palette} onClose={() => setPalette(false)} />
      <main id="main" tabIndex={-1} className="flex min-w-0 flex-1 flex-col outline-none">
        {!connected && <p role="status" className="bg-wait-tint px-4 py-1.5 text-sm text-wait">Creel is not heard from at the moment. What you see may be old; it is tried again.</p>}
        {children}
      </main>
    </div>
  );
}
