import { expect, test } from "vitest";

import type { Schemas } from "../api/client";
import { after, NOTHING, over } from "./turn";

const told = (...events: Schemas["TurnEvent"][]) => events.reduce(after, NOTHING);

test("an answer grows word by word and ends with what was kept", () => {
  const half = told({ type: "started" }, { type: "text", delta: "a " }, { type: "text", delta: "b" });
  expect(half).toMatchObject({ text: "a b", state: "running" });
  expect(over(half)).toBe(false);
  expect(after(half, { type: "done", text: "a b c" })).toMatchObject({ text: "a b c", state: "done" });
});

test("a second beginning voids what came before", () => {
  const again = told({ type: "started" }, { type: "text", delta: "a" }, { type: "tool_started", tool_id: "1", name: "exec", arguments: "{}" }, { type: "started" });
  expect(again).toEqual({ ...NOTHING, state: "running" });
});

test("each tool gets its own result, in whatever order they end", () => {
  const tools = told(
    { type: "started" },
    { type: "tool_started", tool_id: "1", name: "a", arguments: "{}" },
    { type: "tool_started", tool_id: "2", name: "b", arguments: "{}" },
    { type: "tool_finished", tool_id: "2", ok: false, output: "no" },
  ).tools;
  expect(tools.map((tool) => [tool.name, tool.ok, tool.output])).toEqual([["a", null, null], ["b", false, "no"]]);
});

test("a failure keeps what was said and why", () => {
  const failed = told({ type: "started" }, { type: "text", delta: "half" }, { type: "failed", code: "agent_failed", message: "It died." });
  expect(failed).toMatchObject({ text: "half", state: "failed", failure: { message: "It died." } });
  expect(over(failed)).toBe(true);
});
