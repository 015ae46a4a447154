// The org and the platform: a viewer who is invited sees and changes nothing, and gets another role; tokens, usage, the trail; and what
// an operator has beside that.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";

import { ask, look, scenario, signInPath, url } from "./harness.mjs";

await ask("POST", "/v1/agents", { name: "heron", runtime: "lite" });
await ask("POST", "/v1/agents/heron/chat", { message: "hello" });

const EMAIL = "owner@example.com";
const PASSWORD = "vier kleine Mäuse tanzen";

// The code that an app shows now (RFC 6238).
function code(secret) {
  const bits = [...secret].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const hash = createHmac("sha1", key).update(step).digest();
  return String((hash.readUInt32BE(hash[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

// Gives the owner one; a recovery code comes back.
async function withASecondFactor() {
  await ask("PUT", "/v1/me/email", { email: EMAIL });
  await ask("PUT", "/v1/me/password", { new: PASSWORD });
  const { secret } = await ask("POST", "/v1/me/totp", { password: PASSWORD });
  const { recovery_codes: [first] } = await ask("POST", "/v1/me/totp/confirm", { code: code(secret) });
  return first;
}

await scenario(async (page) => {
  const heading = (name) => page.getByRole("heading", { name, exact: true });
  const button = (name) => page.getByRole("button", { name, exact: true });
  const dialog = page.getByRole("dialog");
  const row = (name) => page.getByRole("row", { name });
  const open = async (path, title) => {
    await page.goto(new URL(path, url).href);
    await heading(title).waitFor();
  };
  const downloaded = async (press) => {
    const [download] = await Promise.all([page.waitForEvent("download"), press()]);
    return readFileSync(await download.path(), "utf8");
  };
  const asOwner = async () => {
    await page.goto(new URL(await signInPath(), url).href);
    await page.getByRole("button", { name: /account and theme/ }).waitFor();
  };

  await asOwner();
  await open("/org/members", "Members");
  await row(/owner/).getByText("you").waitFor();
  await button("Invite somebody").click();
  await dialog.getByLabel("Role").selectOption("viewer");
  await look(page, "invite");
  await dialog.getByRole("button", { name: "Invite" }).click();
  const link = await dialog.getByLabel("Link of the invitation").innerText();
  await look(page, "invited");
  await dialog.getByRole("button", { name: "Done" }).click();
  await row(/whoever has the link viewer/).waitFor();
  await look(page, "members");

  // Grace opens the link and is in, as a viewer: what she may not is not there, and refused where she finds it all the same.
  await page.getByRole("button", { name: /account and theme/ }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await heading("Sign in").waitFor();
  await page.goto(new URL(new URL(link).hash, url).href);
  await heading("You are invited").waitFor();
  assert.ok(!page.url().includes("join"), "the code leaves the address bar");
  await look(page, "join");
  await button("I am new here").click();
  const code = new URL(link).hash.replace("#join=", "");
  assert.equal(await page.getByLabel("Code of your invitation").inputValue(), code);
  // As `creel join` does it; the mail of the page's own way would be in the data directory.
  const joined = await fetch(new URL("/v1/invitations/accept", url), { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ code, name: "Grace" }) });
  const { secret } = await joined.json();
  const hers = await fetch(new URL("/v1/sign-in-links", url), { method: "POST", headers: { authorization: `Bearer ${secret}` } });
  await page.goto(new URL((await hers.json()).path, url).href);
  await row(/heron/).waitFor();
  const nav = page.getByRole("navigation", { name: "Main" });
  assert.equal(await nav.getByText("Audit").count(), 0);
  assert.equal(await nav.getByText("Operator").count(), 0);
  assert.equal(await page.getByText("New agent").count(), 0);
  await look(page, "viewer-agents");
  await open("/agents/heron/chat", "heron");
  await page.getByRole("log", { name: "Conversation" }).getByText("hello").first().waitFor();
  assert.equal(await page.getByLabel("Message").count(), 0);
  await open("/agents/heron", "heron");
  await page.getByRole("region", { name: "State" }).waitFor();
  assert.equal(await button("Stop").count(), 0);
  assert.equal(await page.getByRole("link", { name: "Logs" }).count(), 0);
  await page.goto(new URL("/agents/heron/sandbox", url).href);
  await page.getByText("There is no such panel").waitFor();
  await open("/new", "New agent");
  await page.getByText("which makes no agents").waitFor();
  for (const path of ["/org/audit", "/operator/orgs"]) {
    await page.goto(new URL(path, url).href);
    await page.getByText("Your role does not reach this").waitFor();
  }
  await look(page, "viewer-refused");
  await open("/org/members", "Members");
  await row(/Grace/).getByText("viewer").waitFor();
  assert.equal(await button("Invite somebody").count(), 0);
  const status = await page.evaluate(async () => (await fetch("/v1/agents", { method: "POST", headers: { "content-type": "application/json" }, body: '{"name":"x"}' })).status);
  assert.equal(status, 403);

  // The owner gives her more, and takes it all.
  await asOwner();
  await open("/org/members", "Members");
  const changed = page.waitForResponse((response) => response.request().method() === "PATCH" && response.ok());
  await page.getByLabel("Role of Grace").selectOption("developer");
  await changed;
  const role = async () => (await ask("GET", "/v1/members")).items.find((member) => member.name === "Grace")?.role;
  assert.equal(await role(), "developer");
  await button("Remove Grace").click();
  await dialog.getByRole("button", { name: "Remove", exact: true }).click();
  await dialog.waitFor({ state: "detached" });
  await row(/Grace/).waitFor({ state: "detached" });
  assert.equal(await role(), undefined);

  await open("/org/models", "Models and secrets");
  await button("Test fake").click();
  await page.getByText("It lists 1 model.").waitFor();
  await look(page, "models");
  await button("Add a provider").click();
  await look(page, "models-add");
  await page.keyboard.press("Escape");

  await open("/org/tokens", "Tokens and devices");
  await button("New token").click();
  await dialog.getByLabel("Name, to tell it from others").fill("deploy");
  await look(page, "token-new");
  await dialog.getByRole("button", { name: "Make it" }).click();
  const token = await dialog.getByLabel("Token", { exact: true }).innerText();
  const tried = await fetch(new URL("/v1/agents", url), { headers: { authorization: `Bearer ${token}` } });
  assert.equal(tried.status, 200, "the token is one");
  await dialog.getByRole("button", { name: "Done" }).click();
  await row(/deploy/).waitFor();
  await look(page, "tokens");
  await button("Revoke deploy").click();
  await dialog.getByRole("button", { name: "Revoke" }).click();
  // Behind a dialog nothing is there for whoever goes by roles.
  await dialog.waitFor({ state: "detached" });
  await row(/deploy/).waitFor({ state: "detached" });
  assert.equal((await fetch(new URL("/v1/agents", url), { headers: { authorization: `Bearer ${token}` } })).status, 401);

  await open("/org/usage", "Usage");
  await page.getByRole("table").waitFor();
  await look(page, "usage");
  await button("By agent").click();
  await row(/heron/).waitFor();
  const report = await ask("GET", "/v1/usage?group=agent");
  const rows = (await downloaded(() => button("Download CSV").click())).trim().split("\r\n");
  assert.equal(rows[0], "agent,calls,input_tokens,cached_input_tokens,output_tokens,cost_usd,calls_without_price,calls_without_usage");
  const heron = report.items.find((item) => item.name === "heron");
  assert.ok(rows.some((line) => line.startsWith(`heron,${heron.calls},${heron.input_tokens},`)), rows.join("\n"));

  await open("/org/audit", "Audit");
  await button("Verify the trail").click();
  await page.getByText(/It is intact: \d+ entries/).waitFor();
  await page.locator("summary", { hasText: "member.remove" }).first().click();
  await look(page, "audit");
  await page.getByLabel("Action").fill("agent.create");
  await button("Search").click();
  await page.locator("summary", { hasText: "member.remove" }).first().waitFor({ state: "detached" });
  await page.locator("summary", { hasText: "agent.create" }).first().waitFor();
  const entries = (await downloaded(() => button("Export").click())).trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(entries.map((entry) => entry.metadata.sequence), entries.map((_, at) => at + 1), "all of it, in order");

  // What concerns others an operator reaches only with a second factor, shown within twelve hours; the page says so.
  await open("/operator/orgs", "Orgs");
  await page.getByText("An operator needs a second factor for this").waitFor();
  await look(page, "orgs-refused");
  const recovery = await withASecondFactor();
  await page.getByRole("button", { name: /account and theme/ }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.getByLabel("E-mail address").fill(EMAIL);
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await button("Sign in").click();
  await heading("One more step").waitFor();
  await look(page, "second-factor");
  await page.getByLabel("Code of your app, or a recovery code").fill(recovery);
  await button("Go on").click();
  await page.getByRole("button", { name: /account and theme/ }).waitFor();

  await open("/operator/host", "Host");
  await page.getByText("Isolated by").waitFor();
  await page.getByText("lite 1").waitFor();
  await look(page, "host");
  await open("/operator/orgs", "Orgs");
  await row(/default/).waitFor();
  await look(page, "orgs");
  await open("/operator/models", "Models for everybody");
  await page.getByText("There are no providers").waitFor();
  await look(page, "platform-models");
  await open("/operator/sign-in", "Sign-in");
  await page.getByText("There are no sign-in providers").waitFor();
  await button("Add a provider").click();
  await look(page, "sso-add");
  await page.keyboard.press("Escape");
  await open("/operator/operators", "Operators");
  await row(/owner/).waitFor();
  await look(page, "operators");

  // On a phone the same is behind one button.
  await page.setViewportSize({ width: 390, height: 844 });
  await button("Menu").click();
  await dialog.getByRole("link", { name: "Usage" }).click();
  await heading("Usage").waitFor();
  await dialog.waitFor({ state: "detached" });
});
