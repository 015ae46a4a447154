import { expect, test } from "vitest";

import { EMPTY, told, when } from "./when";

test("a form becomes what the API asks for, and nothing while it is not filled in", () => {
  expect(when({ ...EMPTY, zone: "Europe/Berlin" })).toEqual({ kind: "cron", expr: "0 9 * * 1-5", zone: "Europe/Berlin" });
  expect(when({ ...EMPTY, kind: "every", minutes: "1.5" })).toEqual({ kind: "every", seconds: 90 });
  expect(when({ ...EMPTY, kind: "at", at: "2026-12-24T18:00:00Z" })).toEqual({ kind: "at", at: "2026-12-24T18:00:00.000Z" });
  for (const half of [{ ...EMPTY, expr: " " }, { ...EMPTY, kind: "every" as const, minutes: "" }, { ...EMPTY, kind: "at" as const }]) expect(when(half)).toBe(null);
});

test("intervals are told by their largest whole unit", () => {
  expect([7200, 1800, 90].map((seconds) => told({ kind: "every", seconds }))).toEqual(["every 2 h", "every 30 min", "every 90 s"]);
});
