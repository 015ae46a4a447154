// Light or dark: the system's choice until somebody makes another one. `public/theme.js` does the same before the first paint.

import { useSyncExternalStore } from "react";

export type Choice = "system" | "light" | "dark";

const KEY = "creel-theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();
let memory: Choice = "system";

function chosen(): Choice {
  try {
    const kept = localStorage.getItem(KEY);
    return kept === "light" || kept === "dark" ? kept : "system";
  } catch {
    return memory;
  }
}

function apply() {
  const choice = chosen();
  const dark = choice === "system" ? system.matches : choice === "dark";
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  listeners.forEach((listener) => listener());
}

system.addEventListener("change", apply);

export function choose(choice: Choice) {
  memory = choice;
  try {
    if (choice === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, choice);
  } catch {
    // It holds until the page is left.
  }
  apply();
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

export const useTheme = () => useSyncExternalStore(subscribe, chosen);
export const useDark = () => useSyncExternalStore(subscribe, () => document.documentElement.dataset.theme === "dark");
