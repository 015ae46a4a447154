// Numbers and times in a person's words.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export function size(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 || Number.isInteger(value) ? 0 : 1;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

export const count = (value: number) => value.toLocaleString("en");

/** Of millionths of a dollar. Small sums keep the digits that tell them from nothing. */
export function money(microUsd: number): string {
  const usd = microUsd / 1e6;
  const digits = usd !== 0 && Math.abs(usd) < 1 ? 4 : 2;
  return `$${usd.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })}`;
}

const STEPS: [number, string][] = [[60, "s"], [60, "min"], [24, "h"], [Infinity, "d"]];

/** A length of time by its largest unit. */
export function duration(seconds: number): string {
  let value = Math.max(0, seconds);
  for (const [most, unit] of STEPS) {
    if (value < most) return `${Math.floor(value)} ${unit}`;
    value /= most;
  }
  return "";
}

/** How long ago, or in how long. */
export function ago(at: string, now: number): string {
  const seconds = (now - Date.parse(at)) / 1000;
  if (Math.abs(seconds) < 5) return "now";
  return seconds > 0 ? `${duration(seconds)} ago` : `in ${duration(-seconds)}`;
}

export const moment = (at: string) =>
  new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
export const day = (at: string) => new Date(at).toLocaleDateString(undefined, { dateStyle: "medium" });
export const cores = (millis: number) => `${millis / 1000} ${millis === 1000 ? "core" : "cores"}`;
export const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
