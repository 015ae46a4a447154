// Runs inside the freshly made image, as the agent's user, with no network but loopback.
//
// It starts the gateway exactly as launch.json says, plays the model itself, and runs real turns: plain chat, a compound
// shell command, a file written and read back, and a message of a person at OpenClaw's own page. The first run ("bake") leaves V8's compile cache behind, so that every
// later start in a sandbox skips compiling some six thousand modules. The second ("accept") runs on the finished,
// read-only image. Either way the last line of output is one JSON object, and any turn that goes wrong ends in exit 1.
import { spawn } from "node:child_process";
import { createHash, generateKeyPairSync, randomUUID, sign } from "node:crypto";
import fs from "node:fs";
import http from "node:http";

// Below the bound that the builder sets, so that the sentence is ours.
const DEADLINE_MS = 540_000;
const launch = JSON.parse(fs.readFileSync("/opt/openclaw/launch.json", "utf8"));
const password = randomUUID();
const scopes = ["operator.read", "operator.write", "operator.admin", "operator.approvals"];
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const began = performance.now();
const sinceMs = (start) => Math.round(performance.now() - start);

// ---- the model ---------------------------------------------------------------------------------------------------
// What it says depends only on the last real message: a tool's result is quoted back, "do: {json}" becomes that tool
// call, anything else gets a greeting. OpenClaw appends a user message of its own, which is looked past.
const textOf = (content) =>
  typeof content === "string" ? content : (content ?? []).map((part) => part.text ?? "").join("\n");
const isInternal = (message) =>
  message.role === "user" && textOf(message.content).includes("OPENCLAW_INTERNAL_CONTEXT");

function answer(messages) {
  const last = messages.filter((message) => !isInternal(message)).at(-1);
  if (last.role === "tool") return { text: `result: ${textOf(last.content)}` };
  const call = /do: (\{.*\})/.exec(textOf(last.content));
  return call ? { call: JSON.parse(call[1]) } : { text: "the model says hello" };
}

let modelCalls = 0;
const model = http.createServer(async (request, response) => {
  const body = [];
  for await (const chunk of request) body.push(chunk);
  if (!request.url.endsWith("/chat/completions")) {
    response.writeHead(404, { "content-type": "application/json" });
    return response.end('{"error":{"message":"only chat completions here"}}');
  }
  modelCalls += 1;
  const { messages, model: name } = JSON.parse(Buffer.concat(body));
  const { text, call } = answer(messages);
  const tool_calls = call && [
    { index: 0, id: `call_${modelCalls}`, type: "function", function: { name: call.name, arguments: JSON.stringify(call.arguments) } },
  ];
  const event = (rest) =>
    response.write(`data: ${JSON.stringify({ id: `bake-${modelCalls}`, object: "chat.completion.chunk", created: 1, model: name, ...rest })}\n\n`);
  response.writeHead(200, { "content-type": "text/event-stream" });
  event({ choices: [{ index: 0, delta: { role: "assistant", content: text ?? "" }, finish_reason: null }] });
  if (tool_calls) event({ choices: [{ index: 0, delta: { tool_calls }, finish_reason: null }] });
  event({ choices: [{ index: 0, delta: {}, finish_reason: call ? "tool_calls" : "stop" }] });
  event({ choices: [], usage: { prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 } });
  response.end("data: [DONE]\n\n");
});

// ---- the gateway -------------------------------------------------------------------------------------------------
function startGateway(modelUrl) {
  for (const directory of launch.directories) fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  fs.copyFileSync(launch.config_template, launch.env.OPENCLAW_CONFIG_PATH);
  const [program, ...rest] = launch.argv;
  const env = { ...launch.env, OPENCLAW_GATEWAY_PASSWORD: password, CREEL_MODEL_URL: modelUrl, CREEL_MODEL_KEY: "none" };
  const gateway = spawn(program, rest, { cwd: launch.cwd, env, stdio: ["ignore", "inherit", "inherit"] });
  gateway.ended = new Promise((done) => gateway.once("exit", (code, signal) => done({ code, signal })));
  gateway.ended.then((how) => { if (!gateway.stopping) fail(`the gateway ended by itself: ${JSON.stringify(how)}`); });
  return gateway;
}

async function untilReady() {
  for (;;) {
    const ready = await fetch(`http://127.0.0.1:${launch.port}${launch.ready_path}`).then((r) => r.ok, () => false);
    if (ready) return;
    await sleep(20);
  }
}

// As the bridge does, by password; or as a person, with the headers that Creel puts on their requests.
async function connect(person) {
  const socket = new WebSocket(`ws://127.0.0.1:${launch.port}/`, { headers: person?.headers ?? {} });
  const waiting = new Map();
  const chat = new EventTarget();
  let challenged;
  const challenge = new Promise((done) => (challenged = done));
  socket.onclose = (close) => { if (!socket.expected) fail(`the gateway closed the connection: ${close.code} ${close.reason}`); };
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(data);
    if (frame.event === "connect.challenge") challenged(frame.payload);
    if (frame.event === "chat") chat.dispatchEvent(Object.assign(new Event("chat"), { payload: frame.payload }));
    if (frame.type === "res") {
      const { resolve, reject } = waiting.get(frame.id);
      waiting.delete(frame.id);
      frame.ok ? resolve(frame.payload) : reject(new Error(`the gateway refused: ${JSON.stringify(frame.error)}`));
    }
  };
  let sent = 0;
  const request = (method, params = {}) =>
    new Promise((resolve, reject) => {
      const id = String((sent += 1));
      waiting.set(id, { resolve, reject });
      socket.send(JSON.stringify({ type: "req", id, method, params }));
    });
  const nonce = await challenge;
  const client = { id: "gateway-client", version: "1", platform: "linux", mode: "backend" };
  const told = await request("connect", {
    minProtocol: 4,
    maxProtocol: 4,
    client,
    role: "operator",
    scopes,
    caps: ["tool-events"],
    ...(person ? person.introduce(nonce) : { auth: { password } }),
  });
  const missing = scopes.filter((scope) => !told.auth.scopes.includes(scope));
  if (missing.length) fail(`${person ? "a person at the page" : "the bridge"} may not: ${missing}`);
  return { request, chat, close: () => { socket.expected = true; socket.close(); } };
}

// A person who opens the page for the first time, in a browser that OpenClaw does not know: nothing is typed, nobody
// approves, and without the headers there is nothing but the page's own code.
async function newPerson() {
  const page = `http://127.0.0.1:${launch.port}`;
  const headers = { "x-creel-user": "person@example.com", "x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https" };
  const html = await fetch(page, { headers }).then((r) => r.text());
  const build = /data-openclaw-control-ui-build-id="([^"]+?)-[0-9a-f]{64}"/.exec(html)?.[1];
  const script = /<script[^>]*\ssrc="([^"]+)"/.exec(html)?.[1];
  if (!build || !script) fail(`OpenClaw's page is not there: ${html.slice(0, 500)}`);
  const code = await fetch(new URL(script, page), { headers: { ...headers, "accept-encoding": "br" } });
  if (code.status !== 200 || code.headers.get("content-encoding") !== "br") fail(`${script}: ${code.status}, not compressed`);
  for (const [sent, expected] of [[headers, 200], [{}, 401]]) {
    const { status } = await fetch(`${page}/control-ui-config.json`, { headers: sent });
    if (status !== expected) fail(`${Object.keys(sent).length} headers gave ${status} instead of ${expected}`);
  }
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  const id = createHash("sha256").update(raw).digest("hex");
  const client = { id: "openclaw-control-ui", version: build.split("-")[0], buildId: build, platform: "linux", mode: "webchat" };
  const introduce = ({ nonce, ts }) => {
    const text = ["v3", id, client.id, client.mode, "operator", scopes.join(","), ts, "", nonce, client.platform, ""].join("|");
    const signature = sign(null, Buffer.from(text), privateKey).toString("base64url");
    return { client, device: { id, publicKey: raw.toString("base64url"), signature, signedAt: ts, nonce } };
  };
  return { headers: { ...headers, origin: page }, introduce };
}

async function turn(link, message, expected) {
  const start = performance.now();
  const sessionKey = "agent:main:bake";
  const ended = new Promise((done) => {
    link.chat.addEventListener("chat", function listen({ payload }) {
      if (payload.sessionKey !== sessionKey || !["final", "error", "aborted"].includes(payload.state)) return;
      link.chat.removeEventListener("chat", listen);
      done(payload);
    });
  });
  await link.request("chat.send", { sessionKey, message, idempotencyKey: randomUUID() });
  const end = await ended;
  const text = textOf(end.message?.content);
  if (end.state !== "final" || !text.includes(expected)) {
    fail(`the turn "${message}" should have answered "${expected}" and gave: ${JSON.stringify(end)}`);
  }
  return sinceMs(start);
}

// ---- the run -----------------------------------------------------------------------------------------------------
function fail(sentence) {
  console.error(`bake: ${sentence}`);
  process.exit(1);
}

const mode = process.argv[2] ?? "bake";
setTimeout(() => fail(`no result within ${DEADLINE_MS} ms`), DEADLINE_MS).unref();
await new Promise((done) => model.listen(0, "127.0.0.1", done));
const started = performance.now();
const gateway = startGateway(`http://127.0.0.1:${model.address().port}/v1`);
await untilReady();
const ready_ms = sinceMs(started);
const link = await connect();
const tool = (name, args) => `do: ${JSON.stringify({ name, arguments: args })}`;
const first_turn_ms = await turn(link, "hello", "the model says hello");
const exec_turn_ms = await turn(link, tool("exec", { command: "echo creel-$((40 + 2)) > made.txt && cat made.txt | tr a-z A-Z; id -u" }), "CREEL-42");
await turn(link, tool("write", { path: "note.md", content: "kept by the agent" }), "note.md");
await turn(link, tool("read", { path: "note.md" }), "kept by the agent");
const next_turn_ms = await turn(link, "hello again", "the model says hello");
for (const method of ["health", "status", "sessions.list", "cron.list"]) await link.request(method);
await link.request("chat.history", { sessionKey: "agent:main:bake" });
const person = await connect(await newPerson());
await turn(person, "hello from the page", "the model says hello");
person.close();
// Work of its own after the last turn makes it answer "busy", without a suspension to resume.
const { suspensionId } = await link.request("gateway.suspend.prepare", { requestId: randomUUID() });
if (suspensionId) await link.request("gateway.suspend.resume", { suspensionId });
if (fs.readFileSync(`${launch.env.OPENCLAW_WORKSPACE_DIR}/made.txt`, "utf8") !== "creel-42\n") fail("exec left the wrong file");
link.close();

// A clean exit is what writes the cache: V8 hands it over as each process and worker ends.
gateway.stopping = true;
const stopping = performance.now();
gateway.kill("SIGTERM");
const how = await Promise.race([gateway.ended, sleep(30_000).then(() => fail("the gateway did not stop on SIGTERM"))]);
const stop_ms = sinceMs(stopping);
console.log(JSON.stringify({ mode, ready_ms, first_turn_ms, exec_turn_ms, next_turn_ms, stop_ms, total_ms: sinceMs(began), model_calls: modelCalls, exit: how }));
process.exit(0);
