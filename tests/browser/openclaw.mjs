// A person opens OpenClaw's own page at the agent's address: nothing is typed but a message, which is answered. Asleep or
// on disk, it comes by itself.

import assert from "node:assert/strict";

import { ask, picture, scenario, signInPath, url } from "./harness.mjs";

const page_ = new URL(url);
page_.hostname = "claw.localhost";
// From nothing to OpenClaw's first word takes a while.
const START_MS = 90_000;

// OpenClaw's page complains on the console of what is not in our image: only where it asks is looked at.
const options = { origins: [page_.origin], console: (at) => !at.startsWith(page_.origin) };

await scenario(async (page) => {
  const chat = page.getByRole("textbox").first();
  // The model says it again: it stands there twice.
  const answered = async (text) => page.getByText(text, { exact: true }).nth(1).waitFor({ timeout: START_MS });
  const said = async (text) => {
    await chat.waitFor({ timeout: START_MS });
    await chat.fill(text);
    await chat.press("Enter");
    await answered(text);
  };

  // Nobody comes in without signing in, and whoever does comes back.
  await page.goto(page_.href);
  await page.getByRole("heading", { name: /sign in/i }).first().waitFor();
  assert.equal(new URL(page.url()).origin, url.origin);
  await picture(page, "openclaw-sign-in");
  await page.goto(new URL(await signInPath(), url).href);
  await page.goto(page_.href);
  await said("hello at the page");
  assert.equal(new URL(page.url()).origin, page_.origin);
  await picture(page, "openclaw");

  // Loaded anew it knows the person, and what was said.
  await page.reload();
  await answered("hello at the page");

  // No script reads what lets the browser in, and no cookie of Creel's is there to be read.
  assert.equal(await page.evaluate(() => document.cookie.includes("creel")), false);

  // On disk it is started for whoever opens it, who sees that it is.
  await page.goto("about:blank");
  await ask("PATCH", "/v1/agents/claw", { rest: { autostop: "stop", idle_s: 1 } });
  for (;;) {
    const { status } = await ask("GET", "/v1/agents/claw");
    if (status.state === "asleep" && status.depth === "on_disk") break;
    await new Promise((done) => setTimeout(done, 200));
  }
  const opened = page.goto(page_.href);
  await page.getByRole("heading", { name: "claw is waking up" }).waitFor();
  await picture(page, "waking");
  assert.equal((await opened).status(), 503);
  await answered("hello at the page");
  await picture(page, "openclaw-woken");
}, options);
