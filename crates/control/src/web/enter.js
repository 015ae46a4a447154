// Getting in: sign-in, second factor, sign-up, forgotten password, and the links of our mails.
// A link's code stands behind the #, which no server sees; it leaves the address bar at once.

import { ask, complain, onSubmit } from "/web/ask.js";
import { offer, signIn, where } from "/web/passkeys.js";

const $ = (id) => document.getElementById(id);
const views = [...document.querySelectorAll("#signed-out [data-view]")];
let code = null;
let ticket = null;
let landsAt = "/";
let choices = [];

function show(name, said) {
  for (const view of views) view.hidden = view.dataset.view !== name;
  $("said").textContent = said ?? "";
  $("said").hidden = !said;
  const view = views.find((one) => one.dataset.view === name);
  document.title = `${view.querySelector("h2").textContent} · Creel`;
  const first = view.querySelector("input:not([type=hidden]):not([value])") ?? view.querySelector("input, button");
  if (!$("signed-out").hidden) first?.focus();
}

// With a path of its own the page is left; otherwise it begins anew.
function inside() {
  if (landsAt === "/") return location.reload();
  location.assign(landsAt);
}

onSubmit($("sign-in"), async (fields, form) => {
  const result = await ask("POST", "/v1/sign-in", fields);
  form.elements.password.value = "";
  if (result.status === "signed_in") return inside();
  ticket = result.ticket;
  show("second-factor");
});

onSubmit($("passkey-sign-in"), async () => {
  await signIn();
  inside();
});

function showPasskeys(options) {
  const place = where(options);
  $("passkey-sign-in").hidden = place !== "here";
  $("passkeys-elsewhere").hidden = place !== "elsewhere";
  if (place === "elsewhere") {
    const link = $("passkeys-elsewhere").querySelector("a");
    link.textContent = options.passkeys_at;
    link.href = options.passkeys_at;
  }
}

// The browser is asked to offer them in the address field as well.
function offerPasskeys(options) {
  if (where(options) !== "here" || $("signed-out").hidden) return;
  offer().then((came) => came && inside()).catch((error) => complain($("passkey-sign-in"), error));
}

onSubmit($("second-factor"), async (fields, form) => {
  try {
    await ask("POST", "/v1/sign-in/second-factor", { ticket, code: fields.code });
  } catch (error) {
    form.elements.code.value = "";
    throw error;
  }
  inside();
});

onSubmit($("forgotten"), async (fields) => {
  await ask("POST", "/v1/password-resets", fields);
  show("sign-in", `If ${fields.email} has an account, a link is on its way there. It is good for an hour.`);
});

onSubmit($("reset"), async (fields, form) => {
  await ask("POST", "/v1/password-resets/confirm", { code, password: fields.password });
  form.reset();
  show("sign-in", "Your password is set. Sign in with it.");
});

onSubmit($("sign-up"), async (fields) => {
  const invitation = fields.invitation.trim();
  await ask("POST", "/v1/sign-up", { email: fields.email, ...(invitation && { invitation }) });
  show("sign-in", `A mail is on its way to ${fields.email}. Open its link within a day.`);
});

onSubmit($("finish"), async (fields) => {
  await ask("POST", "/v1/sign-up/confirm", { code, name: fields.name, password: fields.password });
  inside();
});

onSubmit($("verify"), async () => {
  await ask("POST", "/v1/verify-email", { code });
  show("verified");
});

for (const link of document.querySelectorAll("#signed-out [data-show]")) {
  link.addEventListener("click", () => show(link.dataset.show));
}

// Accepting with an account that there is: sign in first, then the page knows what to do.
const KEPT = "creel-invitation";

$("have-account").addEventListener("click", async () => {
  sessionStorage.setItem(KEPT, code);
  try {
    await acceptKept();
  } catch (error) {
    if (error.status !== 401) return complain($("finish"), error);
    sessionStorage.setItem(KEPT, code);
    show("sign-in", "Sign in, and you join the org.");
  }
});

export async function acceptKept() {
  const invitation = sessionStorage.getItem(KEPT);
  if (!invitation) return;
  sessionStorage.removeItem(KEPT);
  const joined = await ask("POST", "/v1/invitations/accept", { code: invitation });
  await ask("POST", "/v1/me/org", { org: joined.org });
  inside();
}

// Accepting with an account elsewhere: the code goes along, and is kept in case the account is known here already.
async function joinWith(name) {
  $("join-trouble").hidden = true;
  try {
    const { url } = await ask("POST", `/v1/sign-in/with/${encodeURIComponent(name)}`, { invitation: code });
    sessionStorage.setItem(KEPT, code);
    location.assign(url);
  } catch (error) {
    $("join-trouble").textContent = error.message;
    $("join-trouble").hidden = false;
  }
}

function showChoices(invited) {
  for (const list of document.querySelectorAll("[data-providers]")) {
    const joins = list.id === "join-with";
    list.replaceChildren(...choices.map((choice) => {
      const item = document.createElement("li");
      const way = document.createElement(joins ? "button" : "a");
      way.textContent = `${list.dataset.providers} ${choice.label}`;
      if (joins) {
        way.type = "button";
        way.addEventListener("click", () => joinWith(choice.name));
      } else {
        way.className = "button";
        way.href = `/sign-in/with/${encodeURIComponent(choice.name)}`;
      }
      item.append(way);
      return item;
    }));
    list.hidden = choices.length === 0 || (joins && !invited);
  }
}

// Back from somebody else: the code of the app is asked for as after a password, or the invitation was used.
function comeBack() {
  const half = /^#second-factor=([0-9a-f]+)(?:&to=(\/(?![/\\]).*))?$/.exec(location.hash);
  if (half) {
    history.replaceState(null, "", "/");
    ticket = half[1];
    landsAt = half[2] ?? "/";
    $("signed-in").hidden = true;
    $("signed-out").hidden = false;
    show("second-factor");
    return true;
  }
  if (location.hash === "#joined") {
    history.replaceState(null, "", "/");
    sessionStorage.removeItem(KEPT);
  }
  return false;
}

// What the address asks for; true: something that concerns whoever is signed in as well.
function followLink() {
  // To an agent's page, once somebody is signed in.
  const to = /^#to=([\w.~%-]+)$/.exec(location.hash);
  if (to) {
    history.replaceState(null, "", "/");
    landsAt = `/sign-in/page?to=${to[1]}`;
    return false;
  }
  const [, what, secret] = /^#(reset|verify|sign-up|invitation)=([0-9a-f]+)$/.exec(location.hash) ?? [];
  if (!what) return false;
  code = secret;
  history.replaceState(null, "", "/");
  const view = { reset: "reset", verify: "verify", "sign-up": "finish", invitation: "finish" }[what];
  $("have-account").hidden = what !== "invitation";
  showChoices(what === "invitation");
  $("signed-in").hidden = true;
  $("signed-out").hidden = false;
  show(view);
  return true;
}

export function begin() {
  if (comeBack() || followLink()) return true;
  show("sign-in");
  options.then(offerPasskeys).catch(() => {});
  return false;
}

window.addEventListener("hashchange", followLink);

const options = ask("GET", "/v1/sign-in");
options.then((options) => {
  choices = options.providers;
  showChoices(!$("have-account").hidden);
  for (const link of document.querySelectorAll("[data-show=sign-up]")) link.hidden = options.sign_up === "closed";
  $("invitation-field").hidden = options.sign_up === "open";
  $("sign-up").elements.invitation.required = options.sign_up === "invite";
  showPasskeys(options);
}).catch(() => {});
