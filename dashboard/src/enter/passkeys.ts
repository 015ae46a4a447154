// Passkeys: what the browser and an authenticator do, between a question to Creel and its answer.

import { api, type Schemas, take } from "../api/client";

const bytes = (text: string) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
const text = (buffer: ArrayBuffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const described = (list: Schemas["CredentialDescriptor"][]) =>
  list.map((one) => ({ type: "public-key" as const, id: bytes(one.id), transports: one.transports as AuthenticatorTransport[] | undefined }));

export type Place = "here" | "elsewhere" | "nowhere" | "unsupported";

/** Whether they work on this page. */
export function where(options: Schemas["SignInOptions"]): Place {
  if (!options.passkeys_at) return "nowhere";
  if (options.passkeys_at !== location.origin) return "elsewhere";
  return window.PublicKeyCredential && navigator.credentials ? "here" : "unsupported";
}

const SENTENCES: Record<string, string> = {
  NotAllowedError: "Nothing was done: it was cancelled, took too long, or there is no passkey for this page.",
  InvalidStateError: "This device has a passkey of yours already.",
  ConstraintError: "This device cannot make sure that it is you: give it a PIN, a fingerprint or a face first.",
  NotSupportedError: "This device makes no passkeys of a kind that Creel takes.",
  OperationError: "Another question about a passkey is open in this browser: answer it first.",
  SecurityError: "This browser uses no passkeys at this address.",
};

/** In the words of whoever sits in front of it. */
function told(error: unknown, making: boolean): unknown {
  const sentence = error instanceof DOMException && SENTENCES[error.name];
  if (!sentence) return error;
  return new Error(making ? sentence.replace(", or there is no passkey for this page", "") : sentence, { cause: error });
}

// Only one request may wait in a browser at a time.
let offered: AbortController | null = null;
const stopOffering = () => offered?.abort();

export async function create(password: string): Promise<Schemas["NewCredential"]> {
  stopOffering();
  const { public_key: wanted } = await take(api.POST("/v1/me/passkeys/begin", { body: password ? { password } : {} }));
  const publicKey = {
    ...wanted,
    challenge: bytes(wanted.challenge),
    user: { ...wanted.user, id: bytes(wanted.user.id) },
    excludeCredentials: described(wanted.excludeCredentials),
  } as PublicKeyCredentialCreationOptions;
  const made = (await navigator.credentials.create({ publicKey }).catch((error: unknown) => {
    throw told(error, true);
  })) as PublicKeyCredential;
  const response = made.response as AuthenticatorAttestationResponse;
  return {
    id: made.id,
    type: made.type,
    response: {
      clientDataJSON: text(response.clientDataJSON),
      attestationObject: text(response.attestationObject),
      transports: response.getTransports?.() ?? [],
    },
  };
}

async function get(wanted: Schemas["PasskeyRequestOptions"], how: Partial<CredentialRequestOptions> = {}): Promise<Schemas["SignedCredential"]> {
  const publicKey = { ...wanted, challenge: bytes(wanted.challenge), allowCredentials: described(wanted.allowCredentials) };
  const signed = (await navigator.credentials.get({ publicKey: publicKey as PublicKeyCredentialRequestOptions, ...how })) as PublicKeyCredential;
  const response = signed.response as AuthenticatorAssertionResponse;
  return {
    id: signed.id,
    type: signed.type,
    response: {
      clientDataJSON: text(response.clientDataJSON),
      authenticatorData: text(response.authenticatorData),
      signature: text(response.signature),
      userHandle: response.userHandle ? text(response.userHandle) : null,
    },
  };
}

const fail = (error: unknown) => {
  throw told(error, false);
};

export async function signIn() {
  stopOffering();
  const { public_key: wanted } = await take(api.POST("/v1/sign-in/passkey/begin"));
  const credential = (await get(wanted).catch(fail)) as Schemas["SignedCredential"];
  await take(api.POST("/v1/sign-in/passkey/finish", { body: { credential } }));
}

/** Shows once more, by a passkey, who sits here. */
export async function prove() {
  stopOffering();
  const { public_key: wanted } = await take(api.POST("/v1/me/proof/passkey/begin"));
  const credential = (await get(wanted).catch(fail)) as Schemas["SignedCredential"];
  await take(api.POST("/v1/me/proof/passkey/finish", { body: { credential } }));
}

const seen = () =>
  document.visibilityState === "visible"
    ? Promise.resolve()
    : new Promise<void>((done) => document.addEventListener("visibilitychange", () => done(), { once: true }));

/** Has the browser offer passkeys in the address field, where it can. True: somebody came in by one. */
export async function offer(gone: AbortSignal): Promise<boolean> {
  if (!(await window.PublicKeyCredential?.isConditionalMediationAvailable?.())) return false;
  while (!gone.aborted) {
    // Nobody looks: a challenge would only grow old.
    await seen();
    const { public_key: wanted } = await take(api.POST("/v1/sign-in/passkey/begin"));
    const abort = new AbortController();
    offered = abort;
    let renewed = false;
    const stop = () => abort.abort();
    gone.addEventListener("abort", stop);
    const timer = setTimeout(() => {
      renewed = true;
      abort.abort();
    }, wanted.timeout - 60_000);
    try {
      const credential = await get(wanted, { mediation: "conditional", signal: abort.signal });
      await take(api.POST("/v1/sign-in/passkey/finish", { body: { credential } }));
      return true;
    } catch (error) {
      if (renewed) continue;
      if (error instanceof DOMException) return false;
      throw error;
    } finally {
      clearTimeout(timer);
      gone.removeEventListener("abort", stop);
    }
  }
  return false;
}
