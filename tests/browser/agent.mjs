// One agent, panel by panel: its state and what one does about it, who it is, its files and a terminal, its log, its settings.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import { ask, look, scenario, signInPath, url } from "./harness.mjs";

const BYTES = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 7 + (at >> 8)) % 256));

await ask("POST", "/v1/agents", { name: "otter", runtime: "lite" });

await scenario(async (page) => {
  const button = (name) => page.getByRole("button", { name, exact: true });
  const dialog = page.getByRole("dialog");
  const panel = (name) => page.getByRole("navigation", { name: "Panels of otter" }).getByRole("link", { name, exact: true }).click();
  const agent = () => ask("GET", "/v1/agents/otter");

  await page.goto(new URL(await signInPath(), url).href);
  await page.getByRole("heading", { name: "Agents" }).waitFor();
  await page.goto(new URL("/agents/otter", url).href);

  // Overview: it says how it stands, and does what it is told; each change comes by itself.
  const state = page.getByRole("region", { name: "State" });
  await state.getByText("Running").waitFor();
  await look(page, "overview");
  await button("Sleep").click();
  await state.getByText("Asleep").waitFor();
  await state.getByText("In memory").waitFor();
  await look(page, "overview-asleep");
  await button("Wake").click();
  await state.getByText("Running").waitFor();
  await button("Stop").click();
  await dialog.getByText("Its files stay.").waitFor();
  await look(page, "overview-stop");
  await dialog.getByRole("button", { name: "Stop it" }).click();
  await dialog.waitFor({ state: "detached" });
  await state.getByText("Stopped").waitFor();

  // What needs a sandbox says that there is none.
  await panel("Logs");
  await page.getByText("otter is stopped").waitFor();
  await look(page, "logs-stopped");
  await button("Start it").click();
  await page.getByRole("log", { name: "Log of otter" }).waitFor();

  // Agent: who it is, saved against the revision that was looked at.
  await panel("Agent");
  await page.getByLabel("SOUL.md").fill("You are an otter.");
  await page.getByRole("region", { name: "Who it is" }).getByRole("button", { name: "Save" }).click();
  await page.getByRole("region", { name: "Who it is" }).getByRole("button", { name: "Drop changes", disabled: true }).waitFor();
  assert.equal((await agent()).files.soul, "You are an otter.");
  await page.getByLabel("Memory, MiB").fill("320");
  await ask("PATCH", "/v1/agents/otter", { rest: { idle_s: 600 } });
  const limits = page.getByRole("region", { name: "Limits" });
  await limits.getByRole("button", { name: "Save" }).click();
  await limits.getByRole("alert").filter({ hasText: "changed" }).waitFor();
  assert.equal((await agent()).limits.memory_bytes, 256 * 1024 ** 2, "what came meanwhile is not overwritten");
  await look(page, "agent-conflict");
  await limits.getByRole("button", { name: "Drop changes" }).click();
  await page.getByLabel("Memory, MiB").fill("320");
  await limits.getByRole("button", { name: "Save" }).click();
  await limits.getByRole("button", { name: "Drop changes", disabled: true }).waitFor();
  assert.equal((await agent()).limits.memory_bytes, 320 * 1024 ** 2);
  await page.getByLabel("Memory, MiB").fill("1");
  assert.equal(await page.getByLabel("Memory, MiB").evaluate((field) => field.validity.valid), false);
  await limits.getByRole("button", { name: "Drop changes" }).click();
  await page.locator("header, h1", { hasText: "otter" }).first().waitFor();
  await page.getByText("running", { exact: true }).first().waitFor();

  // Files: up, down byte for byte, edited, moved, deleted.
  await panel("Sandbox");
  await page.getByRole("group", { name: "Files in ." }).or(page.getByText("This folder is empty")).first().waitFor();
  await page.getByLabel("Files to upload").setInputFiles({ name: "picture.bin", mimeType: "application/octet-stream", buffer: BYTES });
  const row = (name) => page.getByRole("row", { name: new RegExp(name.replaceAll(".", "\\.")) });
  await row("picture.bin").waitFor();
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download picture.bin" }).click()]);
  assert.equal(download.suggestedFilename(), "picture.bin");
  assert.ok(readFileSync(await download.path()).equals(BYTES), "what comes down is what went up");
  await button("New folder").click();
  await dialog.getByLabel("Name").fill("notes");
  await dialog.getByRole("button", { name: "Make it" }).click();
  await button("notes").click();
  await page.waitForURL("**/sandbox?path=notes");
  await page.getByText("This folder is empty").waitFor();
  await button("New file").click();
  await dialog.getByLabel("Name").fill("plan.md");
  await dialog.getByRole("button", { name: "Make it" }).click();
  await page.getByLabel("Content").fill("first\nsecond\n");
  await look(page, "file-editor");
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.waitFor({ state: "detached" });
  await row("plan.md").getByText("13 B").waitFor();
  await page.getByRole("button", { name: "More for plan.md" }).click();
  await page.getByRole("menuitem", { name: "Rename or move" }).click();
  await dialog.getByLabel("New path, from the workspace").fill("notes/better.md");
  await dialog.getByRole("button", { name: "Move it" }).click();
  await row("better.md").waitFor();
  await page.reload();
  await row("better.md").waitFor();
  await button("workspace").click();
  await row("picture.bin").waitFor();
  await look(page, "files");
  await page.getByRole("button", { name: "More for picture.bin" }).click();
  await page.getByRole("menuitem", { name: "Delete" }).click();
  await dialog.getByRole("button", { name: "Delete it" }).click();
  // Behind a dialog nothing is there for whoever goes by roles.
  await dialog.waitFor({ state: "detached" });
  await row("picture.bin").waitFor({ state: "detached" });

  // A terminal that is one: it is typed into, knows its size, and sees the same files.
  await page.getByRole("navigation", { name: "Of the sandbox" }).getByRole("link", { name: "Terminal" }).click();
  const terminal = page.getByRole("group", { name: "Terminal of otter" });
  const screen = () => terminal.locator(".xterm-rows").innerText();
  const shows = async (text) => {
    await terminal.locator(".xterm-rows").filter({ hasText: text }).waitFor();
  };
  await terminal.locator(".xterm-helper-textarea").focus();
  await page.keyboard.type("cat notes/better.md; tty; echo $((6*7))-and-$(stty size)\n");
  await shows("second");
  await shows(/42-and-\d+ \d+/);
  const [, , columns] = /42-and-(\d+) (\d+)/.exec(await screen());
  await page.setViewportSize({ width: 700, height: 900 });
  await page.keyboard.type("\nclear; echo now-$(stty size)\n");
  await shows(/now-\d+ \d+/);
  const narrow = /now-(\d+) (\d+)/.exec(await screen());
  assert.ok(Number(narrow[2]) < Number(columns), `${narrow[2]} < ${columns}`);
  await page.setViewportSize({ width: 1100, height: 900 });
  const family = await terminal.locator(".xterm-rows").evaluate((node) => getComputedStyle(node).fontFamily);
  assert.match(family, /mono/i, "its style sheets are in force under the page's rules");
  await page.keyboard.type("printf '\\033[38;2;200;30;40mred\\033[0m\\n'\n");
  const red = terminal.locator(".xterm-rows span", { hasText: /^red$/ });
  await red.waitFor();
  assert.equal(await red.evaluate((node) => getComputedStyle(node).color), "rgb(200, 30, 40)", "colours are the program's own");
  await look(page, "terminal");
  await page.keyboard.type("exit 3\n");
  await page.getByText("The shell has ended with status 3.").waitFor();
  await button("New shell").click();
  await page.getByText("The shell has ended").waitFor({ state: "detached" });

  // Logs: live, searched, downloaded.
  await panel("Logs");
  const log = page.getByRole("log", { name: "Log of otter" });
  await log.locator("p").first().waitFor();
  await page.getByLabel("Search in the log").fill("surely nothing says this");
  await log.getByText("No line fits.").waitFor();
  await page.getByLabel("Search in the log").fill("");
  await log.locator("time").first().waitFor();
  const [lines] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download" }).click()]);
  const [line] = readFileSync(await lines.path(), "utf8").split("\n");
  assert.ok(JSON.parse(line).text);
  await look(page, "logs");

  // Settings: a schedule that runs, a port that is shared, a secret that is shown to nobody.
  await panel("Settings");
  await look(page, "settings-empty");
  await button("New schedule").click();
  await dialog.getByLabel("Name").fill("daily-report");
  await dialog.getByLabel("What it is told").fill("Write the report");
  await dialog.getByText(/^Next: /).waitFor();
  await look(page, "settings-schedule");
  await dialog.getByRole("button", { name: "Add it" }).click();
  await dialog.waitFor({ state: "detached" });
  await page.getByRole("button", { name: "More for daily-report" }).click();
  await page.getByRole("menuitem", { name: "Run it now" }).click();
  await page.getByText("last done").waitFor();
  await button("Runs of daily-report").click();
  await dialog.getByText("by hand").waitFor();
  await look(page, "settings-runs");
  await dialog.getByRole("button", { name: "Close" }).click();
  await page.getByRole("button", { name: "More for daily-report" }).click();
  await page.getByRole("menuitem", { name: "Pause it" }).click();
  await page.getByText("paused").waitFor();

  await button("Publish a port").click();
  await dialog.getByLabel("Port").fill("3000");
  await look(page, "settings-port");
  await dialog.getByRole("button", { name: "Publish it" }).click();
  await button("Share port 3000").click();
  await dialog.getByLabel("Whom it is for, for yourself").fill("Grace");
  await dialog.getByRole("button", { name: "Make the link" }).click();
  const link = await dialog.getByLabel("Share link").innerText();
  assert.match(link, /^http/);
  await look(page, "settings-link");
  await dialog.getByRole("button", { name: "Done" }).click();
  await button("End the link Grace").click();
  await button("End the link Grace").waitFor({ state: "detached" });

  await button("New secret").click();
  await dialog.getByLabel("Name").fill("OPENAI_KEY");
  await dialog.getByLabel("Value").fill("sk-nobody-sees-this");
  await dialog.getByRole("button", { name: "Keep it" }).click();
  await dialog.waitFor({ state: "detached" });
  await page.getByText("OPENAI_KEY").waitFor();
  assert.ok(!(await page.content()).includes("sk-nobody-sees-this"));
  await look(page, "settings");

  await button("Delete otter").click();
  assert.equal(await dialog.getByRole("button", { name: "Delete it for good" }).isDisabled(), true);
  await look(page, "settings-delete");
  await dialog.getByLabel("Type otter to go on").fill("otter");
  await dialog.getByRole("button", { name: "Delete it for good" }).click();
  await page.waitForURL("**/agents");
  await page.getByRole("row", { name: /otter/ }).waitFor({ state: "detached" });
});
