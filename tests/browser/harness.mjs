// A real browser in front of the real page, for scenarios. The page may ask nobody but Creel, breaks none of its own
// rules, and has a name for whatever can be used; otherwise the scenario fails, whatever it was about.
//
// CREEL_BROWSER  where `npm ci` put what drives the browser    CREEL_URL, CREEL_TOKEN  the Creel to open
// CREEL_PICTURES  where pictures of the page go; none are taken without it

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const driver = createRequire(`${process.env.CREEL_BROWSER}/`);
const { chromium } = driver("playwright-core");
const AXE = readFileSync(driver.resolve("axe-core/axe.min.js"), "utf8");

// Nothing is waited for longer.
const PATIENCE_MS = 20_000;
const PROGRAMS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const ARGUMENTS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

export const url = new URL(process.env.CREEL_URL);
// The same by its name: browsers make passkeys for names.
export const named = new URL(url);
named.hostname = "localhost";

// Addresses that the page may ask.
const origins = new Set([url.origin, named.origin]);

// The same Creel behind a wire that can be cut and mended.
export async function wire() {
  const sockets = new Set();
  let whole = true;
  const server = net.createServer((near) => {
    if (!whole) return near.destroy();
    const far = net.connect(Number(url.port), url.hostname);
    for (const [from, to] of [[near, far], [far, near]]) {
      sockets.add(from);
      from.on("error", () => {});
      from.on("close", () => { sockets.delete(from); to.destroy(); });
      from.pipe(to);
    }
    return undefined;
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const at = new URL(url);
  at.port = String(server.address().port);
  origins.add(at.origin);
  const cut = () => { whole = false; for (const socket of sockets) socket.destroy(); };
  return { url: at, cut, mend: () => { whole = true; }, end: () => { cut(); server.close(); } };
}

// Asks the API with the owner's token.
export async function ask(method, path, body) {
  const response = await fetch(new URL(path, url), {
    method,
    headers: { authorization: `Bearer ${process.env.CREEL_TOKEN}`, "content-type": "application/json", "if-match": "*" },
    body: body && JSON.stringify(body),
  });
  const told = await response.json().catch(() => null);
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${told?.detail}`);
  return told;
}

// A path that opens the page as the owner, once.
export async function signInPath() {
  return (await ask("POST", "/v1/sign-in-links")).path;
}

// Runs `work` with a fresh browser that shows nothing yet. `options.origins` may be asked too; `options.console` says of a
// page's address whether what is told on the console there is a fault.
export async function scenario(work, options = {}) {
  const profile = mkdtempSync(join(tmpdir(), "creel-browser-"));
  const executablePath = PROGRAMS.find(existsSync);
  assert.ok(executablePath, `no browser at ${PROGRAMS.join(", ")}`);
  const context = await chromium.launchPersistentContext(profile, {
    executablePath, args: ARGUMENTS, headless: true, viewport: { width: 1100, height: 900 },
  });
  const faults = [];
  for (const origin of options.origins ?? []) origins.add(origin);
  context.setDefaultTimeout(PATIENCE_MS);
  context.on("request", (request) => {
    const asked = new URL(request.url());
    if (asked.protocol !== "data:" && !origins.has(asked.origin)) faults.push(`asked ${asked.origin}`);
  });
  const counts = (at) => options.console?.(at) ?? true;
  context.on("weberror", (error) => {
    if (counts(error.page()?.url() ?? "")) faults.push(`the page failed: ${error.error().stack}`);
  });
  context.on("console", (message) => {
    // A status that the page deals with is told there as well.
    const told = /^Failed to load resource: (the server responded|net::ERR_(CONNECTION|EMPTY|INCOMPLETE|SOCKET))/.test(message.text());
    if (message.type() === "error" && !told && counts(message.page()?.url() ?? "")) faults.push(`the console: ${message.text()}`);
  });
  try {
    const page = context.pages()[0] ?? (await context.newPage());
    try {
      await work(page, context);
    } catch (error) {
      error.message += `\n${await seen(page)}`;
      await picture(page, "failed");
      throw error;
    }
    assert.deepEqual(faults, []);
  } finally {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  }
}

async function seen(page) {
  const text = await page.locator("body").innerText().catch(() => "nothing");
  return `At ${page.url()} the page says:\n${text}`;
}

// An authenticator of the browser's own, that verifies its user and consents to all.
export async function authenticator(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("WebAuthn.enable");
  const { authenticatorId } = await session.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2", ctap2Version: "ctap2_1", transport: "internal", hasResidentKey: true,
      hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true,
    },
  });
  return {
    credentials: async () => (await session.send("WebAuthn.getCredentials", { authenticatorId })).credentials,
    // Whether its user is recognized from now on.
    verifies: (isUserVerified) => session.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified }),
    consents: (enabled) =>
      session.send("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId, enabled }),
  };
}

// Whatever can be used has a name, and no id is there twice.
export async function accessible(page) {
  const faults = await page.evaluate(() => {
    const faults = [];
    const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
    for (const id of new Set(ids)) if (ids.filter((other) => other === id).length > 1) faults.push(`#${id} twice`);
    for (const node of document.querySelectorAll("input, select, textarea, button, a[href]")) {
      if (!node.checkVisibility()) continue;
      const name = node.getAttribute("aria-label") || [...(node.labels ?? [])].map((one) => one.innerText).join("") ||
        node.innerText;
      if (!name?.trim()) faults.push(`no name: ${node.outerHTML}`);
    }
    return faults;
  });
  assert.deepEqual(faults, []);
}

// No rule of axe's is broken on this page as it is, on a desk and on a phone, light and dark; and nothing is wider than the
// screen. Pictures of all four are taken.
export async function look(page, name) {
  const before = page.viewportSize();
  for (const [device, width, height] of [["desk", 1280, 800], ["phone", 390, 844]]) {
    await page.setViewportSize({ width, height });
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.locator(`html[data-theme=${colorScheme}]`).waitFor({ state: "attached" });
      await page.evaluate(AXE);
      const faults = await page.evaluate(async () => {
        // Colours that are on their way are not what anybody reads.
        await Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => {})));
        const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
        return violations.map((fault) => `${fault.id}: ${fault.nodes.map((node) => `${node.target} ${node.html.slice(0, 160)} ${node.failureSummary}`).join(" | ")}`);
      });
      assert.deepEqual(faults, [], `${name}, ${device}, ${colorScheme}`);
      const over = await page.evaluate(() => Math.max(
        document.documentElement.scrollWidth - innerWidth,
        ...[...document.querySelectorAll("[role=log], [role=dialog]")].map((box) => box.scrollWidth - box.clientWidth),
      ));
      assert.ok(over <= 0, `${name}, ${device}: ${over} px wider than the screen`);
      await picture(page, `${name}-${device}-${colorScheme}`);
    }
  }
  await page.setViewportSize(before);
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
  await accessible(page);
}

// For people to look at.
export async function picture(page, name) {
  const folder = process.env.CREEL_PICTURES;
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}
