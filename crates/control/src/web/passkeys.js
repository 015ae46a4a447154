// Passkeys: what the browser and an authenticator do, between a question to Creel and its answer.

import { ask } from "/web/ask.js";

const bytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const described = (list) => list.map((one) => ({ ...one, id: bytes(one.id) }));

// Whether they work on this page: "here", "elsewhere", "nowhere", or "unsupported" by this browser.
export function where(options) {
  if (!options.passkeys_at) return "nowhere";
  if (options.passkeys_at !== location.origin) return "elsewhere";
  return window.PublicKeyCredential && navigator.credentials ? "here" : "unsupported";
}

// In the words of whoever sits in front of it.
function told(error, making) {
  const sentences = {
    NotAllowedError: "Nothing was done: it was cancelled, took too long, or there is no passkey for this page.",
    InvalidStateError: "This device has a passkey of yours already.",
    ConstraintError: "This device cannot make sure that it is you: give it a PIN, a fingerprint or a face first.",
    NotSupportedError: "This device makes no passkeys of a kind that Creel takes.",
    OperationError: "Another question about a passkey is open in this browser: answer it first.",
    SecurityError: "This browser uses no passkeys at this address.",
  };
  const sentence = error instanceof DOMException && sentences[error.name];
  if (!sentence) return error;
  return new Error(making ? sentence.replace(", or there is no passkey for this page", "") : sentence, { cause: error });
}

// Only one request may wait in a browser at a time.
let offered = null;
const stopOffering = () => offered?.abort();

export async function create(body) {
  stopOffering();
  const { public_key: wanted } = await ask("POST", "/v1/me/passkeys/begin", body);
  const publicKey = {
    ...wanted,
    challenge: bytes(wanted.challenge),
    user: { ...wanted.user, id: bytes(wanted.user.id) },
    excludeCredentials: described(wanted.excludeCredentials),
  };
  const made = await navigator.credentials.create({ publicKey }).catch((error) => {
    throw told(error, true);
  });
  return {
    id: made.id,
    type: made.type,
    response: {
      clientDataJSON: text(made.response.clientDataJSON),
      attestationObject: text(made.response.attestationObject),
      transports: made.response.getTransports?.() ?? [],
    },
  };
}

async function get(wanted, how) {
  const publicKey = {
    ...wanted,
    challenge: bytes(wanted.challenge),
    allowCredentials: described(wanted.allowCredentials),
  };
  const signed = await navigator.credentials.get({ publicKey, ...how });
  return {
    id: signed.id,
    type: signed.type,
    response: {
      clientDataJSON: text(signed.response.clientDataJSON),
      authenticatorData: text(signed.response.authenticatorData),
      signature: text(signed.response.signature),
      userHandle: signed.response.userHandle ? text(signed.response.userHandle) : null,
    },
  };
}

export async function signIn() {
  stopOffering();
  const { public_key: wanted } = await ask("POST", "/v1/sign-in/passkey/begin");
  const credential = await get(wanted).catch((error) => {
    throw told(error);
  });
  await ask("POST", "/v1/sign-in/passkey/finish", { credential });
}

// Shows once more, by a passkey, who sits here.
export async function prove() {
  stopOffering();
  const { public_key: wanted } = await ask("POST", "/v1/me/proof/passkey/begin");
  const credential = await get(wanted).catch((error) => {
    throw told(error);
  });
  await ask("POST", "/v1/me/proof/passkey/finish", { credential });
}

const seen = () =>
  document.visibilityState === "visible"
    ? Promise.resolve()
    : new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));

// Has the browser offer passkeys in the address field, where it can. True: somebody came in by one.
export async function offer() {
  if (!(await window.PublicKeyCredential?.isConditionalMediationAvailable?.())) return false;
  for (;;) {
    // Nobody looks: a challenge would only grow old.
    await seen();
    const { public_key: wanted } = await ask("POST", "/v1/sign-in/passkey/begin");
    const abort = new AbortController();
    offered = abort;
    let renewed = false;
    const timer = setTimeout(() => { renewed = true; abort.abort(); }, wanted.timeout - 60_000);
    try {
      const credential = await get(wanted, { mediation: "conditional", signal: abort.signal });
      await ask("POST", "/v1/sign-in/passkey/finish", { credential });
      return true;
    } catch (error) {
      if (renewed) continue;
      if (error instanceof DOMException) return false;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}
