// The page that lets a device in. What the device says of itself is put in as text, never as markup.

const $ = (id) => document.getElementById(id);
let code = null;
let mine = [];

async function call(method, path, body) {
  const options = { method, headers: { accept: "application/json" } };
  if (body !== undefined) {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const response = await fetch(path, options);
  if (response.ok) return response.status === 204 ? null : response.json();
  const told = await response.json().catch(() => ({}));
  if (response.status === 401) {
    $("signed-out").hidden = false;
    $("enter").hidden = $("decide").hidden = true;
  }
  throw new Error(told.detail || `Creel answered with status ${response.status}.`);
}

const attempt = (work) => async (event) => {
  event?.preventDefault();
  $("trouble").hidden = true;
  try { await work(event); } catch (error) {
    $("trouble").textContent = error.message;
    $("trouble").hidden = false;
  }
};

function showScopes(asked) {
  const wanted = new Set(asked || mine);
  $("scopes").replaceChildren(...mine.map((scope) => {
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.value = scope;
    box.checked = wanted.has(scope);
    label.className = "scope";
    label.append(box, ` ${scope}`);
    return label;
  }));
}

async function look() {
  code = $("enter").elements.code.value;
  const request = await call("POST", "/v1/devices/inspect", { user_code: code });
  $("name").textContent = request.name;
  $("address").textContent = request.address;
  $("asked").textContent = new Date(request.created_at).toLocaleString();
  showScopes(request.scopes);
  $("enter").hidden = true;
  $("decide").hidden = false;
}

function finish(text) {
  $("decide").hidden = true;
  $("done").textContent = text;
  $("done").hidden = false;
}

async function approve() {
  const boxes = [...$("scopes").querySelectorAll("input")];
  const scopes = boxes.filter((box) => box.checked).map((box) => box.value);
  const request = await call("POST", "/v1/devices/approve", { user_code: code, scopes });
  finish(`${request.name} is let in. It can be removed with “creel device rm”.`);
}

async function deny() {
  await call("POST", "/v1/devices/deny", { user_code: code });
  finish("It was turned away.");
}

$("enter").addEventListener("submit", attempt(look));
$("decide").addEventListener("submit", attempt(approve));
$("deny").addEventListener("click", attempt(deny));

attempt(async () => {
  const response = await fetch("/v1/whoami");
  if (response.status === 401) {
    $("signed-out").hidden = false;
    return;
  }
  const me = await response.json();
  mine = me.scopes;
  $("who").textContent = `${me.user_name}, ${me.org_name}`;
  $("enter").hidden = false;
  const given = new URLSearchParams(location.search).get("code");
  if (given) {
    $("enter").elements.code.value = given;
    // Out of the history: it is good for a while.
    history.replaceState(null, "", "/device");
  }
})();
