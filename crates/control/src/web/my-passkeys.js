// The passkeys of whoever is signed in: added, renamed, removed.

import { ask, complain, onSubmit } from "/web/ask.js";
import { create, prove, where } from "/web/passkeys.js";

const $ = (id) => document.getElementById(id);
const day = (at) => new Date(at).toLocaleDateString();
let place = "nowhere";
let usable = 0;
let hasPassword = false;
let afterAdding = null;

// Does `work`; where that needs a proof and no password was typed, a passkey is shown and it is done again.
export async function proven(typed, work) {
  try {
    return await work();
  } catch (error) {
    if (error.status !== 403 || typed || place !== "here" || usable === 0) throw error;
  }
  await prove();
  return work();
}

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function button(text, label, work) {
  const node = element("button", "", text);
  node.type = "button";
  node.setAttribute("aria-label", label);
  node.addEventListener("click", work);
  return node;
}

function field(label, attributes) {
  const node = element("label", "", label);
  const input = document.createElement("input");
  for (const [name, value] of Object.entries(attributes)) input.setAttribute(name, value);
  node.append(input);
  return node;
}

// A small form in place of the buttons of one passkey.
function small(id, action, parts, work, after) {
  const form = element("form", "small");
  form.id = id;
  const alert = element("p", "failure");
  alert.setAttribute("role", "alert");
  alert.hidden = true;
  const row = element("div", "row");
  const submit = element("button", "", action);
  submit.type = "submit";
  row.append(submit, button("Cancel", `${action}: cancel`, () => after(null)));
  form.append(...parts, alert, row);
  onSubmit(form, async (fields) => after(await work(fields)));
  return form;
}

function item(passkey, after) {
  const node = element("li");
  const head = element("div", "head");
  const text = element("span");
  text.append(element("strong", "", passkey.name));
  const used = passkey.last_used_at ? `last used ${day(passkey.last_used_at)}` : "not used yet";
  const kind = passkey.synced ? "may be on several devices" : "on one device";
  const elsewhere = passkey.usable ? "" : `; of use at ${passkey.relying_party} only`;
  text.append(element("span", "state", `added ${day(passkey.created_at)}, ${used}, ${kind}${elsewhere}`));
  const close = (focus) => {
    node.querySelector("form")?.remove();
    head.querySelectorAll("button").forEach((one) => { one.disabled = false; });
    focus?.focus();
  };
  const open = (form) => {
    close();
    head.querySelectorAll("button").forEach((one) => { one.disabled = true; });
    node.append(form);
    (form.querySelector("input") ?? form.querySelector("button")).focus();
  };
  const done = (from) => (said) => (said === null ? close(from) : after(said));
  const rename = button("Rename", `Rename ${passkey.name}`, () => {
    const name = field("New name", { name: "name", required: "", maxlength: "100", autocomplete: "off" });
    name.querySelector("input").value = passkey.name;
    const work = async (fields) => {
      await ask("PATCH", `/v1/me/passkeys/${passkey.id}`, { name: fields.name });
      return `“${passkey.name}” is now called “${fields.name.trim()}”.`;
    };
    open(small(`rename-${passkey.id}`, "Save", [name], work, done(rename)));
  });
  const remove = button("Remove", `Remove ${passkey.name}`, () => {
    const parts = [element("p", "", "It will no longer sign you in. The device that keeps it has it until you delete it there.")];
    if (hasPassword) {
      const attributes = { name: "password", type: "password", maxlength: "256", autocomplete: "current-password" };
      parts.push(field("Current password, unless you signed in just now", attributes));
    }
    const work = async ({ password }) => {
      const body = password ? { password } : {};
      await proven(password, () => ask("POST", `/v1/me/passkeys/${passkey.id}/remove`, body));
      return `The passkey “${passkey.name}” was removed.`;
    };
    open(small(`remove-${passkey.id}`, "Remove for good", parts, work, done(remove)));
  });
  head.append(text, rename, remove);
  node.append(head);
  return node;
}

function tell(options) {
  const state = $("passkeys-state");
  const elsewhere = place === "elsewhere" ? options.passkeys_at : null;
  state.textContent = {
    here: "A passkey signs you in by this device, your phone or a security key, without a password and without a code.",
    elsewhere: `Passkeys work at ${elsewhere}: browsers make them for a name, not for an address.`,
    nowhere: "There are no passkeys here: browsers make them for a name, not for an address. Whoever runs this Creel can " +
      "give it one with creel up --public-url.",
    unsupported: "This browser has no passkeys.",
  }[place];
  $("passkeys-elsewhere-open").hidden = !elsewhere;
  if (elsewhere) $("passkeys-elsewhere-open").querySelector("button").textContent = `Go on at ${elsewhere}`;
  $("add-passkey").hidden = place !== "here";
  $("proof-hint").hidden = place !== "here" || !hasPassword || usable === 0;
}

export async function loadPasskeys(me, said) {
  const [options, { items }] = await Promise.all([ask("GET", "/v1/sign-in"), ask("GET", "/v1/me/passkeys")]);
  place = where(options);
  usable = items.filter((passkey) => passkey.usable).length;
  hasPassword = me.password;
  tell(options);
  const after = async (sentence) => {
    await loadPasskeys(me, said);
    said(sentence);
    $("passkeys-title").focus();
  };
  $("passkeys").replaceChildren(...items.map((passkey) => item(passkey, after)));
  afterAdding = after;
}

onSubmit($("add-passkey"), async (fields, form) => {
  const body = fields.password ? { password: fields.password } : {};
  const credential = await proven(fields.password, () => create(body));
  const passkey = await ask("POST", "/v1/me/passkeys/finish", { name: fields.name, credential });
  form.reset();
  await afterAdding(`The passkey “${passkey.name}” was added. You can sign in with it from now on.`);
});

// By a link that is good once: the session of this address is not known at the other.
onSubmit($("passkeys-elsewhere-open"), async (_, form) => {
  try {
    const { passkeys_at: there } = await ask("GET", "/v1/sign-in");
    const { path } = await ask("POST", "/v1/sign-in-links");
    location.assign(there + path);
  } catch (error) {
    complain(form, error);
  }
});
