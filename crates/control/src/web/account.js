// What people keep about themselves: address, password, second factor, browsers, orgs.

import { ask, complain, onSubmit } from "/web/ask.js";
import { loadPasskeys, proven } from "/web/my-passkeys.js";

const $ = (id) => document.getElementById(id);

function said(text) {
  $("account-said").textContent = text;
  $("account-said").hidden = !text;
}

async function load() {
  const me = await ask("GET", "/v1/me");
  const email = me.email ? `${me.email}${me.email_verified ? "" : " (not confirmed yet)"}` : "none yet";
  $("my-email").textContent = email;
  for (const field of document.querySelectorAll("#account [data-current]")) field.hidden = !me.password;
  $("totp-state").textContent = me.second_factor
    ? `Sign-in asks for a code of your app, but not after a passkey. ${me.recovery_codes_left} recovery codes are left.`
    : "Sign-in asks for no code.";
  $("totp-enrol").hidden = me.second_factor;
  $("totp-disable").hidden = !me.second_factor;
  $("totp-confirm").hidden = true;
  const select = $("switch-org").elements.org;
  select.replaceChildren(...me.orgs.map((org) => new Option(`${org.name} (${org.role})`, org.id, false, org.id === me.org)));
  $("switch-org").hidden = me.orgs.length < 2;
  const { items } = await ask("GET", "/v1/browser-sessions");
  $("browsers").replaceChildren(...items.map(browser));
  await loadIdentities();
  await loadPasskeys(me, said);
}

async function loadIdentities() {
  const { items } = await ask("GET", "/v1/me/identities");
  const { providers } = await ask("GET", "/v1/sign-in");
  $("identities").hidden = items.length === 0 && providers.length === 0;
  $("my-identities").replaceChildren(...items.map(identity));
  const known = new Set(items.map((one) => one.provider?.name));
  $("link-with").replaceChildren(...providers.filter((one) => !known.has(one.name)).map((provider) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `Link ${provider.label}`;
    button.addEventListener("click", () => withProof(async (proof) => {
      const { url } = await ask("POST", "/v1/me/identities", { provider: provider.name, ...proof });
      location.assign(url);
    }));
    return button;
  }));
}

function identity(one) {
  const item = document.createElement("li");
  const text = document.createElement("span");
  const where = one.provider?.label ?? one.issuer;
  text.textContent = `${where}: ${one.email ?? one.subject}`;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Unlink";
  button.setAttribute("aria-label", `Unlink ${where}: ${one.email ?? one.subject}`);
  button.addEventListener("click", () => withProof(async (proof) => {
    await ask("POST", `/v1/me/identities/${one.id}/unlink`, proof);
    $("identities").reset();
    said(`${where} is unlinked.`);
    await load();
  }));
  item.append(text, button);
  return item;
}

// Work of the identities' buttons, with the password where one was typed.
async function withProof(work) {
  const form = $("identities");
  complain(form, null);
  try {
    const typed = form.elements.password.value;
    await proven(typed, () => work(optional("password", typed)));
  } catch (error) {
    complain(form, error);
  }
}

$("identities").addEventListener("submit", (event) => event.preventDefault());

function browser(session) {
  const item = document.createElement("li");
  const text = document.createElement("span");
  const seen = new Date(session.seen_at).toLocaleString();
  text.textContent = `${session.browser || "a browser"}${session.current ? ", this one" : ""}: last seen ${seen}`;
  item.append(text);
  if (!session.current) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Sign out";
    button.setAttribute("aria-label", `Sign out ${session.browser || "a browser"}, last seen ${seen}`);
    button.addEventListener("click", async () => {
      await ask("DELETE", `/v1/browser-sessions/${session.id}`).catch(() => {});
      await load();
    });
    item.append(button);
  }
  return item;
}

const optional = (name, value) => (value ? { [name]: value } : {});

onSubmit($("set-email"), async (fields, form) => {
  const body = { email: fields.email, ...optional("password", fields.password) };
  await proven(fields.password, () => ask("PUT", "/v1/me/email", body));
  form.reset();
  said(`A link is on its way to ${fields.email}. Open it within a day.`);
  await load();
});

onSubmit($("set-password"), async (fields, form) => {
  const body = { new: fields.new, ...optional("current", fields.current) };
  await proven(fields.current, () => ask("PUT", "/v1/me/password", body));
  form.reset();
  said("Your password is set. Other browsers were signed out.");
  await load();
});

onSubmit($("totp-enrol"), async (fields, form) => {
  const body = optional("password", fields.password);
  const enrolment = await proven(fields.password, () => ask("POST", "/v1/me/totp", body));
  form.reset();
  form.hidden = true;
  $("totp-secret").textContent = enrolment.secret.match(/.{1,4}/g).join(" ");
  $("totp-uri").href = enrolment.uri;
  $("totp-confirm").hidden = false;
  $("totp-confirm").elements.code.focus();
});

onSubmit($("totp-confirm"), async (fields, form) => {
  const { recovery_codes: codes } = await ask("POST", "/v1/me/totp/confirm", fields);
  form.reset();
  await load();
  $("recovery-codes").textContent = codes.join("\n");
  $("recovery").hidden = false;
  $("recovery").focus();
});

onSubmit($("totp-disable"), async (fields, form) => {
  const body = optional("password", fields.password);
  await proven(fields.password, () => ask("POST", "/v1/me/totp/disable", body));
  form.reset();
  $("recovery").hidden = true;
  said("Sign-in asks for no code any more.");
  await load();
});

onSubmit($("switch-org"), async (fields) => {
  await ask("POST", "/v1/me/org", fields);
  location.reload();
});

onSubmit($("everywhere"), async (fields) => {
  await ask("POST", "/v1/sign-out-everywhere", { tokens: fields.tokens === "on" });
  location.reload();
});

async function toggle() {
  const opens = $("account").hidden;
  $("account").hidden = !opens;
  $("account-toggle").setAttribute("aria-expanded", String(opens));
  if (!opens) return;
  said("");
  await load().catch((error) => complain($("set-email"), error));
  $("account-title").focus();
}

$("account-toggle").addEventListener("click", toggle);

// Back from linking an identity.
export async function openIfAsked() {
  if (location.hash !== "#account") return;
  history.replaceState(null, "", "/");
  if ($("account").hidden) await toggle();
}
