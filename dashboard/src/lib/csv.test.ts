import { expect, test } from "vitest";

import { csv } from "./csv";

test("what has a comma, a quote or a line's end is quoted, and nothing is a formula", () => {
  expect(csv(["name", "calls"], [["plain", 3], ['a "b", c', -1], ["=1+1", 0], ["two\nlines", 0]])).toBe(
    'name,calls\r\nplain,3\r\n"a ""b"", c",-1\r\n\'=1+1,0\r\n"two\nlines",0\r\n',
  );
});
