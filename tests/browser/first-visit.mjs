// A newcomer's first visit: in by a link, an agent in three steps, a conversation with a tool call, a reload in the middle of an
// answer, a stop and a second try; then the pages themselves.

import assert from "node:assert/strict";

import { ask, look as lookAt, scenario, signInPath, url, wire } from "./harness.mjs";

await scenario(async (page) => {
  const heading = (name) => page.getByRole("heading", { name, exact: true });
  const button = (name) => page.getByRole("button", { name, exact: true });
  const composer = page.getByLabel("Message");
  const log = page.getByRole("log", { name: "Conversation" });
  const say = async (text) => {
    await composer.fill(text);
    await composer.press("Enter");
  };

  // Looking takes time that a visitor does not spend.
  let looked = 0;
  const look = async (...what) => {
    const at = Date.now();
    await lookAt(...what);
    looked += Date.now() - at;
  };

  // Nobody is in: whatever the address, one signs in, and is there afterwards.
  await page.goto(new URL("/agents", url).href);
  await heading("Sign in").waitFor();
  await look(page, "sign-in");
  await button("Forgotten password").click();
  await heading("Forgotten password").waitFor();
  await look(page, "forgotten");

  // Without agents the wizard is where one arrives.
  const began = Date.now();
  looked = 0;
  await page.goto(new URL(await signInPath(), url).href);
  await heading("New agent").waitFor();
  await page.getByText("Where do its answers come from?").waitFor();
  await look(page, "new-model");

  // A key that is wrong is told at once and leaves nothing behind; one that is right offers its models.
  const { items } = await ask("GET", "/v1/providers");
  const fake = items.find((provider) => provider.name === "fake");
  await page.getByLabel("Your own key").check();
  await page.getByLabel("Provider", { exact: true }).selectOption("openai-compatible");
  await page.getByLabel("Address").fill(fake.base_url);
  await page.getByLabel("Key, if it wants one").fill("a-bad-key");
  await button("Try it with a real call").click();
  await page.getByText("It refuses the key").waitFor();
  await look(page, "new-key-refused");
  const names = async () => (await ask("GET", "/v1/providers")).items.map((provider) => provider.name);
  assert.ok(!(await names()).includes("own"));
  await page.getByLabel("Key, if it wants one").fill("a-good-key");
  await button("Try it with a real call").click();
  await page.getByLabel("Model of own").fill("m1");
  assert.equal(await page.locator("datalist option").first().getAttribute("value"), "m1");
  await look(page, "new-key-good");
  await button("Next").click();
  await page.getByText("How large is its sandbox?").waitFor();
  await look(page, "new-size");
  await button("Next").click();
  await page.getByLabel("Name", { exact: true }).fill("scout");
  await page.getByLabel("Personality, if you like").fill("You are brief.");
  await look(page, "new-deploy");
  await button("Create the agent").click();

  // Straight into the conversation; what is said meanwhile is answered when it is up.
  await page.waitForURL("**/agents/scout/chat");
  await say("hello **there**");
  await log.getByText("hello there").last().waitFor();
  const took = Date.now() - began - looked;
  assert.ok(took < 60_000, `a first visit takes less than a minute: ${took} ms`);
  await page.getByText("running", { exact: true }).first().waitFor();

  // A tool call is folded, and shows what was asked and answered.
  await say("@exec echo from-the-$((40+2))");
  await log.locator("summary", { hasText: "done" }).click();
  await log.locator("details pre", { hasText: "from-the-42" }).last().waitFor();
  await look(page, "chat");

  // What an agent writes is Markdown, and nothing of it is a page of ours: its HTML is text, its pictures are links.
  await say("<img src=x onerror=alert(1)> [out](https://example.com/) [bad](javascript:alert(1)) ![pic](https://example.com/p.png)");
  const out = log.getByRole("link", { name: "out" });
  await out.waitFor();
  assert.match(await out.getAttribute("rel"), /noopener/);
  assert.equal(await log.locator("img").count(), 0);
  assert.equal(await log.locator("a[href^=javascript]").count(), 0);
  await button("Send").waitFor();

  // A reload in the middle of an answer: it goes on where it is, whole and once.
  await say("@slow 60");
  await button("Stop").waitFor();
  await log.locator("[aria-busy=true] .prose", { hasText: /\S+ \S+ \S+/ }).waitFor();
  await page.reload();
  await button("Stop").waitFor();
  await log.locator("[aria-busy=true] .prose").waitFor();
  await button("Send").waitFor();
  const kept = (await ask("GET", "/v1/agents/scout/sessions/main/messages")).items.at(-1);
  assert.equal(kept.state, "done");
  assert.equal((await log.locator(".prose").last().innerText()).replaceAll(/\s+/g, " ").trim(), kept.text.replaceAll(/\s+/g, " ").trim());

  // The connection is lost in the middle of one: the page says so, and has all of it in the end.
  const line = await wire();
  await page.goto(new URL("/agents/scout/chat", line.url).href);
  await button("Send").waitFor();
  await say("@slow 100");
  await log.locator("[aria-busy=true] .prose").waitFor();
  line.cut();
  await page.getByText("The connection was lost").waitFor();
  line.mend();
  await log.locator("[aria-busy=true]").waitFor({ state: "detached" });
  await button("Send").waitFor();
  const second = (await ask("GET", "/v1/agents/scout/sessions/main/messages")).items.at(-1);
  assert.equal((await log.locator(".prose").last().innerText()).replaceAll(/\s+/g, " ").trim(), second.text.replaceAll(/\s+/g, " ").trim());

  await page.goto(new URL("/agents/scout/chat", url).href);
  line.end();

  // Stopped, and asked again.
  await say("@slow 400");
  await log.locator("[aria-busy=true] .prose").waitFor();
  await button("Stop").click();
  await log.getByText("Stopped.").waitFor();
  await look(page, "chat-stopped");
  await button("Ask again").click();
  await button("Stop").click();
  await button("Send").waitFor();

  // A conversation of its own, and back.
  await page.getByRole("button", { name: /^Conversation: main/ }).click();
  await page.getByRole("menuitem", { name: "New conversation" }).click();
  await page.waitForURL("**/agents/scout/chat/web-*");
  await page.getByText("This is the beginning of your conversation with scout").waitFor();
  await say("another matter");
  await log.getByText("another matter").last().waitFor();
  await page.getByRole("button", { name: /^Conversation: web-/ }).click();
  await page.getByRole("menuitem", { name: /^main/ }).click();
  await log.getByText("hello there").first().waitFor();

  // The list is live: what somebody else makes comes by itself, what they stop changes.
  await page.goto(new URL("/agents", url).href);
  await heading("Agents").waitFor();
  await ask("POST", "/v1/agents", { name: "otter", runtime: "lite" });
  const row = page.getByRole("row", { name: /otter/ });
  await row.getByText("running").waitFor();
  await ask("PATCH", "/v1/agents/otter", { intent: "stop" });
  await row.getByText("stopped").waitFor();
  await look(page, "agents");

  // Ctrl-K leads anywhere.
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox").fill("scout ch");
  await page.getByRole("option").first().waitFor();
  await look(page, "palette");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/agents/scout/chat");
  await page.locator("textarea:focus").waitFor();

  // The theme that is chosen stays.
  await page.getByRole("button", { name: /account and theme/ }).click();
  await page.getByRole("menuitemradio", { name: "Dark" }).click();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  await page.reload();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  await page.evaluate(() => localStorage.clear());

  // What is deleted while one looks at it says so; who is no longer signed in is asked to.
  await page.goto(new URL("/agents/otter/agent", url).href);
  await page.getByLabel("SOUL.md").waitFor();
  await ask("DELETE", "/v1/agents/otter");
  await page.getByText("There is no agent called otter").waitFor();
  const cookies = await page.context().cookies();
  await page.context().clearCookies();
  await page.getByRole("link", { name: "Usage" }).click();
  await heading("Sign in").waitFor();
  assert.equal(new URL(page.url()).pathname, "/org/usage");
  await page.context().addCookies(cookies);
  await page.reload();
  await heading("Usage").waitFor();

  await page.goto(new URL("/agents/nobody", url).href);
  await page.getByText("There is no agent called nobody").waitFor();
  await page.goto(new URL("/account", url).href);
  await heading("Passkeys").waitFor();
  await look(page, "account");
  await page.goto(new URL("/device", url).href);
  await heading("Let a device in").waitFor();
  await look(page, "device");
});
