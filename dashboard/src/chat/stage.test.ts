import { expect, test } from "vitest";

import { stage } from "./stage";

test("each thing that is waited for has its place", () => {
  expect(["for the supervisor", "preparing image openclaw 43 %", "starting the sandbox", "starting the sandbox, attempt 2", "waking", "its runtime starts"].map(stage)).toEqual([0, 0, 1, 1, 2, 2]);
});
