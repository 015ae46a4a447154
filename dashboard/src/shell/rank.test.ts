import { expect, test } from "vitest";

import { rank } from "./rank";

test("beginnings come first, then words, then what only holds the letters", () => {
  const names = ["Account", "scout: chat", "my-chat", "chat", "catch a tram"];
  expect(rank(names, "chat", (name) => name)).toEqual(["chat", "scout: chat", "my-chat", "catch a tram"]);
  expect(rank(names, "scch", (name) => name)).toEqual(["scout: chat"]);
  expect(rank(names, "", (name) => name)).toEqual(names);
});
