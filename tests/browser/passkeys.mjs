// The first owner adds a passkey, signs in by it, renames and removes it; then it signs nobody in.

import assert from "node:assert/strict";

import { accessible, ask, authenticator, named, picture, scenario, signInPath, url } from "./harness.mjs";

const PASSWORD = "vier kleine Mäuse tanzen";

await scenario(async (page) => {
  const heading = (name) => page.getByRole("heading", { name, exact: true });
  const button = (name) => page.getByRole("button", { name, exact: true });
  const said = page.locator("#account-said");
  const account = async () => {
    await page.getByRole("button", { name: /account and theme/ }).click();
    await page.getByRole("menuitem", { name: "Account" }).click();
    await heading("Passkeys").waitFor();
    await page.locator("#passkeys-state").filter({ hasText: /passkey/i }).waitFor();
  };

  const inside = () => page.getByRole("button", { name: /account and theme/ }).waitFor();
  const signOut = async () => {
    await page.getByRole("button", { name: /account and theme/ }).click();
    await page.getByRole("menuitem", { name: "Sign out" }).click();
  };

  // A newcomer comes by an address, for which browsers make no passkeys. The page says so, and leads on.
  await page.goto(url.origin);
  await page.getByText(`Passkeys work at ${named.origin}`).waitFor();
  assert.equal(await button("Sign in with a passkey").isVisible(), false);
  await accessible(page);
  await picture(page, "sign-in-by-address");
  await page.goto(new URL(await signInPath(), url).href);
  await account();
  assert.equal(await button("Add a passkey").isVisible(), false);
  await picture(page, "account-by-address");
  await button(`Go on at ${named.origin}`).click();
  await page.waitForURL((at) => at.origin === named.origin);
  await inside();

  const device = await authenticator(page);
  await account();
  await accessible(page);
  await picture(page, "account-without-passkeys");

  // A device that does not recognize its user makes none.
  await device.verifies(false);
  await page.getByLabel("Name, to tell it from others").fill("laptop");
  await button("Add a passkey").click();
  await page.locator("#add-passkey .failure").filter({ hasText: "Nothing was done" }).waitFor();
  assert.deepEqual(await device.credentials(), []);
  await picture(page, "account-refused");
  await device.verifies(true);
  await button("Add a passkey").click();
  await said.filter({ hasText: "The passkey “laptop” was added" }).waitFor();
  const [made] = await device.credentials();
  assert.equal(made.rpId, "localhost");
  assert.equal(made.isResidentCredential, true);
  await accessible(page);
  await picture(page, "account-with-a-passkey");

  // The same device has one already.
  await page.getByLabel("Name, to tell it from others").fill("laptop again");
  await button("Add a passkey").click();
  await page.locator("#add-passkey .failure").filter({ hasText: "has a passkey of yours already" }).waitFor();

  // Out, and in again without a word. Until its user consents, nothing happens by itself.
  await device.consents(false);
  await signOut();
  await heading("Sign in").waitFor();
  await button("Sign in with a passkey").waitFor();
  await accessible(page);
  await picture(page, "sign-in");
  await device.consents(true);
  await button("Sign in with a passkey").click();
  await inside();
  assert.equal((await device.credentials())[0].signCount > made.signCount, true);

  // The browser offers it in the address field, before anybody asks; here it is taken at once.
  const entered = page.waitForResponse(`${named.origin}/v1/sign-in/passkey/finish`);
  await signOut();
  assert.equal((await entered).status(), 200);
  await inside();

  await account();
  await button("Rename laptop").click();
  await page.getByLabel("New name").fill("my laptop");
  await picture(page, "account-rename");
  await button("Save").click();
  await said.filter({ hasText: "is now called “my laptop”" }).waitFor();

  // It is the only way in that there is.
  await button("Remove my laptop").click();
  await accessible(page);
  await button("Remove for good").click();
  await page.locator("#passkeys .failure").filter({ hasText: "only way in" }).waitFor();
  await picture(page, "account-last-way-in");
  await page.getByRole("button", { name: "Remove for good: cancel" }).click();
  await page.locator("#set-email input[name=email]").fill("ada@example.com");
  await button("Change address").click();
  await said.filter({ hasText: "ada@example.com" }).waitFor();
  await page.locator("#set-password input[name=new]").fill(PASSWORD);
  await button("Set password").click();
  await said.filter({ hasText: "Your password is set" }).waitFor();
  await button("Remove my laptop").click();
  await page.locator("#passkeys input[name=password]").fill(PASSWORD);
  await button("Remove for good").click();
  await said.filter({ hasText: "The passkey “my laptop” was removed" }).waitFor();
  assert.equal(await page.locator("#passkeys li").count(), 0);

  // The device still has its half, and signs; nobody is let in by it.
  await device.consents(false);
  await signOut();
  await button("Sign in with a passkey").waitFor();
  await device.consents(true);
  await button("Sign in with a passkey").click();
  await page.locator("#passkey-sign-in .failure").filter({ hasText: "was not accepted" }).waitFor();
  await picture(page, "sign-in-refused");
  await page.getByLabel("E-mail address").first().fill("ada@example.com");
  await page.getByLabel("Password", { exact: true }).first().fill(PASSWORD);
  await button("Sign in").click();
  await inside();

  // Signed in by a link, nobody has shown who they are: the password or the passkey is asked for.
  await account();
  await page.getByLabel("Name, to tell it from others").fill("another");
  await button("Add a passkey").click();
  await said.filter({ hasText: "The passkey “another” was added" }).waitFor();
  await page.goto(new URL(await signInPath(), named).href);
  await account();
  await page.getByText("your passkey will do").waitFor();
  await page.locator("#set-password input[name=new]").fill(`${PASSWORD} weiter`);
  await button("Set password").click();
  await said.filter({ hasText: "Your password is set" }).waitFor();
});

const trail = await ask("GET", "/v1/audit?limit=200");
const actions = trail.items.map((entry) => entry.act.action);
for (const action of ["passkey.add", "passkey.use", "passkey.rename", "passkey.remove"]) {
  assert.ok(actions.includes(action), `${action} is told: ${actions}`);
}
