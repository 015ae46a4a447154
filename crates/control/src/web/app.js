// The page that `creel up` opens: agents with their state, and a conversation with one of them.
// Everything from an agent is put in as text, never as markup.

import { acceptKept, begin } from "/web/enter.js";
import { openIfAsked } from "/web/account.js";

const $ = (id) => document.getElementById(id);
const agents = new Map();
let open = null; // name of the agent in the conversation
let turn = null; // { agent, id, abort }

async function call(method, path, body) {
  const options = { method, headers: { accept: "application/json" } };
  if (body !== undefined) {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const response = await fetch(path, options);
  if (!response.ok) throw await problem(response);
  return response.status === 204 ? null : response.json();
}

async function problem(response) {
  const told = await response.json().catch(() => ({}));
  if (response.status === 401) signedOut();
  return new Error(told.detail || `Creel answered with status ${response.status}.`);
}

function trouble(error) {
  $("trouble").textContent = error ? error.message || String(error) : "";
  $("trouble").hidden = !error;
}

const attempt = (work) => async (...given) => {
  trouble(null);
  try { await work(...given); } catch (error) { trouble(error); }
};

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

const path = (agent, rest = "") => `/v1/agents/${encodeURIComponent(agent)}${rest}`;

// ---- agents

function stateText(status) {
  switch (status.state) {
    case "starting": return `starting: ${status.waiting}`;
    case "faulted": return `faulted: ${status.reason}`;
    default: return status.state;
  }
}

function showAgents() {
  const list = [...agents.values()].sort((a, b) => a.name.localeCompare(b.name));
  const items = list.map((agent) => {
    const button = element("button");
    button.type = "button";
    button.append(agent.name);
    if (agent.model.startsWith("demo/")) button.append(element("span", "demo", "demo model"));
    button.append(element("span", `state ${agent.status.state}`, stateText(agent.status)));
    button.setAttribute("aria-current", String(agent.name === open));
    button.addEventListener("click", attempt(() => openChat(agent.name)));
    const item = element("li");
    item.append(button);
    return item;
  });
  const focused = document.activeElement?.closest("#agents li");
  const index = focused ? [...$("agents").children].indexOf(focused) : -1;
  $("agents").replaceChildren(...items);
  if (index >= 0) items[index]?.querySelector("button").focus();
  $("no-agents").hidden = items.length > 0;
  const current = list.find((agent) => agent.name === open);
  if (current) {
    const demo = current.model.startsWith("demo/") ? ", a demo that answers by rote" : "";
    $("chat-state").textContent = `${stateText(current.status)} · ${current.runtime} · ${current.model}${demo}`;
  } else if (open) {
    open = null;
    $("chat").hidden = true;
  }
}

async function loadAgents() {
  const seen = new Map();
  let cursor = null;
  do {
    const page = await call("GET", `/v1/agents?limit=200${cursor ? `&cursor=${cursor}` : ""}`);
    for (const agent of page.items) seen.set(agent.id, agent);
    cursor = page.next_cursor;
  } while (cursor);
  agents.clear();
  for (const [id, agent] of seen) agents.set(id, agent);
  showAgents();
}

let reload = null;
function soon() {
  reload ??= setTimeout(() => { reload = null; loadAgents().catch(trouble); }, 150);
}

function follow() {
  const events = new EventSource("/v1/events?from=now");
  events.onopen = soon;
  for (const kind of ["agent.created", "agent.changed", "agent.state", "agent.deleted"]) {
    events.addEventListener(kind, (message) => {
      const event = JSON.parse(message.data);
      const known = agents.get(event.subject);
      if (event.kind === "agent.state" && known && event.data.state) {
        known.status = event.data;
        showAgents();
      } else soon();
    });
  }
}

$("create").addEventListener("submit", attempt(async () => {
  const form = new FormData($("create"));
  const made = await call("POST", "/v1/agents", Object.fromEntries(form));
  agents.set(made.id, made);
  $("create").elements.name.value = "";
  await openChat(made.name);
  $("message").focus();
}));
$("create").addEventListener("submit", (event) => event.preventDefault(), { capture: true });

// ---- conversation

function bubble(role) {
  const node = element("div", `message ${role}`);
  node.append(element("span", "visually-hidden", role === "user" ? "You: " : "Agent: "));
  const tools = element("div");
  const text = element("span");
  node.append(tools, text);
  $("messages").append(node);
  return { node, tools, text };
}

function addTool(into, tool) {
  const details = element("details");
  const summary = element("summary", "", `tool: ${tool.name}`);
  const output = element("pre", "", tool.output ?? "");
  details.append(summary, element("pre", "", tool.arguments), output);
  into.append(details);
  const finish = (ok, said) => {
    summary.textContent = `tool: ${tool.name}${ok ? "" : ", failed"}`;
    output.textContent = said;
  };
  if (tool.output != null) finish(tool.ok !== false, tool.output);
  else summary.textContent += " …";
  return finish;
}

const bottom = () => { $("messages").scrollTop = $("messages").scrollHeight; };

async function openChat(name) {
  turn?.abort.abort();
  turn = null;
  open = name;
  $("chat-title").textContent = `Talking to ${name}`;
  $("chat").hidden = false;
  $("messages").replaceChildren();
  waiting(false);
  showAgents();
  const page = await call("GET", path(name, "/sessions/main/messages"));
  if (open !== name) return;
  let running = null;
  for (const message of page.items) {
    const { tools, text, node } = bubble(message.role);
    if (message.state === "running") {
      running = { id: message.turn, at: { node, tools, text } };
      continue;
    }
    for (const tool of message.tools ?? []) addTool(tools, tool);
    text.textContent = message.text;
    ended(node, message.state, message.failure);
  }
  bottom();
  if (running) await followTurn(name, running.id, running.at);
}

function ended(node, state, failure) {
  if (state === "failed") node.append(element("p", "failure", failure?.message ?? "The turn failed."));
  if (state === "cancelled") node.append(element("p", "failure", "Stopped."));
}

function waiting(yes) {
  $("stop").hidden = !yes;
  $("message").disabled = yes;
  $("say").querySelector("[type=submit]").disabled = yes;
}

$("say").addEventListener("submit", (event) => event.preventDefault(), { capture: true });
$("say").addEventListener("submit", attempt(async () => {
  const message = $("message").value;
  const agent = open;
  if (!message.trim() || !agent) return;
  const said = bubble("user");
  said.text.textContent = message;
  const at = bubble("agent");
  bottom();
  waiting(true);
  try {
    const response = await fetch(path(agent, "/chat"), {
      method: "POST",
      headers: { accept: "text/event-stream", "content-type": "application/json" },
      body: JSON.stringify({ message }),
    });
    if (!response.ok) throw await problem(response);
    $("message").value = "";
    const id = response.headers.get("location").split("/").pop();
    await followTurn(agent, id, at, response);
  } catch (error) {
    if (open === agent) {
      at.node.append(element("p", "failure", error.message));
      waiting(false);
    }
  }
  if (open === agent) $("message").focus();
}));
$("message").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("say").requestSubmit();
  }
});
$("stop").addEventListener("click", attempt(async () => {
  if (turn) await call("DELETE", path(turn.agent, `/turns/${turn.id}`));
}));

// Follows a turn to its end, through lost connections.
async function followTurn(agent, id, at, response) {
  const abort = new AbortController();
  turn = { agent, id, abort };
  waiting(true);
  const state = { last: 0, over: false, tools: new Map() };
  for (let tries = 0; !state.over && tries < 20 && !abort.signal.aborted; tries++) {
    try {
      if (!response) {
        response = await fetch(path(agent, `/turns/${id}`), {
          headers: { accept: "text/event-stream", "last-event-id": String(state.last) },
          signal: abort.signal,
        });
        if (!response.ok) throw await problem(response);
      }
      const before = state.last;
      await readEvents(response, (number, event) => {
        if (abort.signal.aborted) return;
        state.last = number;
        show(event, at, state);
      });
      if (state.last > before) tries = 0;
    } catch (error) {
      if (abort.signal.aborted) return;
      if (tries === 19) throw error;
    }
    response = null;
    if (!state.over) await new Promise((done) => setTimeout(done, Math.min(5000, 250 * 2 ** tries)));
  }
  if (turn?.id === id) {
    turn = null;
    waiting(false);
  }
}

function show(event, at, state) {
  switch (event.type) {
    case "started": // also says that what came before is void
      at.text.textContent = "";
      at.tools.replaceChildren();
      state.tools.clear();
      break;
    case "text": at.text.append(event.delta); break;
    case "tool_started": state.tools.set(event.tool_id, addTool(at.tools, event)); break;
    case "tool_finished": state.tools.get(event.tool_id)?.(event.ok, event.output); break;
    case "done": at.text.textContent = event.text; state.over = true; break;
    case "failed": ended(at.node, "failed", event); state.over = true; break;
    case "cancelled": ended(at.node, "cancelled"); state.over = true; break;
  }
  bottom();
}

async function readEvents(response, take) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      let number = 0;
      let data = "";
      for (const line of block.split("\n")) {
        if (line.startsWith("id:")) number = Number(line.slice(3));
        if (line.startsWith("data:")) data += line.slice(5).trimStart();
      }
      if (data) take(number, JSON.parse(data));
    }
  }
}

// ---- who is asking

function signedOut() {
  $("signed-in").hidden = true;
  $("account-toggle").hidden = true;
  $("sign-out").hidden = true;
  $("who").textContent = "";
  if ($("signed-out").hidden) {
    $("signed-out").hidden = false;
    begin();
  }
}

$("sign-out").addEventListener("click", attempt(async () => {
  await call("POST", "/v1/sign-out");
  location.reload();
}));

(async () => {
  const response = await fetch("/v1/whoami").catch(() => null);
  if (!response?.ok) {
    signedOut();
    return;
  }
  const me = await response.json();
  $("who").textContent = `${me.user_name} · ${me.org_name}`;
  $("sign-out").hidden = false;
  if (begin()) return;
  $("account-toggle").hidden = false;
  $("signed-in").hidden = false;
  document.title = "Creel";
  await openIfAsked();
  await acceptKept();
  await loadAgents();
  follow();
})().catch(trouble);
