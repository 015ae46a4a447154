// One request to the API, and forms that send one: errors come back to the field that they are about.

export async function ask(method, path, body) {
  const options = { method, headers: { accept: "application/json" } };
  if (body !== undefined) {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const response = await fetch(path, options).catch(() => {
    throw new Error("Creel cannot be reached. Is it running, and are you online?");
  });
  const told = await response.json().catch(() => null);
  if (response.ok) return told;
  const error = new Error(told?.detail || `Creel answered with status ${response.status}.`);
  error.status = response.status;
  throw error;
}

// Puts a sentence where it belongs: at the field that it names, or at the end of the form.
export function complain(form, error) {
  const place = form.querySelector("[role=alert]");
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
  place.textContent = error ? error.message.replace(/^`[a-z_]+`: /, "") : "";
  place.hidden = !error;
  if (!error) return;
  const name = /`([a-z_]+)`/.exec(error.message)?.[1];
  const fields = [...form.elements].filter((field) => field.name);
  const field = fields.find((one) => one.name === name) ?? fields.at(-1);
  if (!field) return;
  place.id ||= `${form.id}-trouble`;
  field.setAttribute("aria-invalid", "true");
  field.setAttribute("aria-describedby", place.id);
  field.focus();
}

// A form that does `work` with its fields, once at a time.
export function onSubmit(form, work) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("[type=submit]");
    if (button.disabled) return;
    complain(form, null);
    button.disabled = true;
    let failed = null;
    try {
      await work(Object.fromEntries(new FormData(form)), form);
    } catch (error) {
      failed = error;
    }
    button.disabled = false;
    if (failed) complain(form, failed);
  });
}
