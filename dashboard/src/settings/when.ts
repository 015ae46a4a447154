// When a schedule runs, between a form and the API.

import type { Schemas } from "../api/client";

type When = Schemas["When"];

export interface Form {
  kind: "cron" | "every" | "at";
  expr: string;
  zone: string;
  minutes: string;
  at: string;
}

export const HERE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
export const EMPTY: Form = { kind: "cron", expr: "0 9 * * 1-5", zone: HERE, minutes: "30", at: "" };

/** Null: it is not filled in yet. A time without a zone is this browser's. */
export function when(form: Form): When | null {
  switch (form.kind) {
    case "cron":
      return form.expr.trim() ? { kind: "cron", expr: form.expr.trim(), ...(form.zone.trim() && { zone: form.zone.trim() }) } : null;
    case "every":
      return Number(form.minutes) >= 1 ? { kind: "every", seconds: Math.round(Number(form.minutes) * 60) } : null;
    case "at": {
      const at = new Date(form.at);
      return Number.isNaN(at.getTime()) ? null : { kind: "at", at: at.toISOString() };
    }
  }
}

export function told(when: When): string {
  switch (when.kind) {
    case "cron":
      return `${when.expr}${when.zone ? `, ${when.zone}` : ""}`;
    case "every":
      return when.seconds % 3600 === 0 ? `every ${when.seconds / 3600} h` : when.seconds % 60 === 0 ? `every ${when.seconds / 60} min` : `every ${when.seconds} s`;
    case "at":
      return `once, ${new Date(when.at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" })}`;
  }
}
