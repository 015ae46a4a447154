import { expect, test } from "vitest";

import { decode, input, resize } from "./exec";

test("messages are one byte of kind and a payload", () => {
  expect(decode(new Uint8Array([1, 104, 105]).buffer)).toEqual({ kind: "output", bytes: new Uint8Array([104, 105]) });
  expect(decode(new Uint8Array([3, 130]).buffer)).toEqual({ kind: "exit", status: 130 });
  expect(decode(new Uint8Array([7, 110, 111]).buffer)).toEqual({ kind: "failed", reason: "no" });
  expect(decode(new Uint8Array([99]).buffer)).toBe(null);
});

test("what is pasted goes in pieces that fit, whole and in order", () => {
  const bytes = new Uint8Array(150_000).map((_, at) => at % 251);
  const pieces = input(bytes);
  expect(pieces.map((piece) => piece.length)).toEqual([65_537, 65_537, 18_929]);
  expect(pieces.every((piece) => piece[0] === 0)).toBe(true);
  expect(Uint8Array.from(pieces.flatMap((piece) => [...piece.slice(1)]))).toEqual(bytes);
});

test("a size is two numbers of two bytes, the larger byte first", () => {
  expect([...resize(300, 24)]).toEqual([4, 1, 44, 0, 24]);
});
