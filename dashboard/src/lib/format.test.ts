import { expect, test } from "vitest";

import { ago, duration, money, size } from "./format";

test("sizes and sums are as long as they need to be", () => {
  expect([0, 1023, 1536, 256 * 1024 ** 2, 4 * 1024 ** 3].map(size)).toEqual(["0 B", "1023 B", "1.5 KiB", "256 MiB", "4 GiB"]);
  expect([0, 1234, 1_500_000, 12_000_000_000].map(money)).toEqual(["$0.00", "$0.0012", "$1.50", "$12,000.00"]);
});

test("times are told by their largest unit", () => {
  expect([0, 59, 60, 7200, 200_000].map(duration)).toEqual(["0 s", "59 s", "1 min", "2 h", "2 d"]);
  expect(ago("2026-01-01T00:00:00Z", Date.parse("2026-01-01T00:02:00Z"))).toBe("2 min ago");
  expect(ago("2026-01-01T00:05:00Z", Date.parse("2026-01-01T00:00:00Z"))).toBe("in 5 min");
});
