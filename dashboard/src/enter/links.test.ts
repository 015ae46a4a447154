import { expect, test, vi } from "vitest";

vi.mock("./invitation", () => ({ dropKept: () => {} }));
const { read } = await import("./links");

test("a link of our mails opens what it is for, with its code", () => {
  expect(read("#reset=ab12")).toMatchObject({ view: "reset", secret: "ab12", invited: false });
  expect(read("#invitation=ab12")).toMatchObject({ view: "finish", secret: "ab12", invited: true });
  expect(read("#join=inv_ab12")).toMatchObject({ view: "join", secret: "inv_ab12" });
  expect(read("#sign-up=ab12")).toMatchObject({ view: "finish", invited: false });
});

test("half a sign-in goes on here, and to no other host", () => {
  expect(read("#second-factor=ab&to=/sign-in/page?to=x")).toMatchObject({ view: "second-factor", to: "/sign-in/page?to=x" });
  for (const to of ["//evil.example", "/\\evil.example", "https://evil.example"]) {
    expect(read(`#second-factor=ab&to=${to}`).view).toBe(null);
  }
});

test("anything else asks for nothing", () => {
  for (const hash of ["", "#", "#account", "#reset=", "#reset=z/z", "#nonsense=ab"]) expect(read(hash)).toMatchObject({ view: null, to: null });
});
