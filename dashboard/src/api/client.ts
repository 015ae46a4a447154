// Requests to the public API, typed by its description; what is refused is thrown as a `Trouble`.

import createClient from "openapi-fetch";

import type { components, paths } from "./schema";

export type Schemas = components["schemas"];
export type Scope = Schemas["Scope"];

export const api = createClient<paths>({ headers: { accept: "application/json" } });

/** What went wrong, as a sentence for whoever sits in front of it. */
export class Trouble extends Error {
  constructor(
    message: string,
    /** Of the API; none where it did not answer. */
    readonly code: string | null = null,
    readonly status = 0,
  ) {
    super(message);
  }
}

export const UNREACHABLE = "Creel cannot be reached. Is it running, and are you online?";

let signedOut = () => {};
/** Called whenever the API says that nobody is signed in. */
export function onSignedOut(call: () => void) {
  signedOut = call;
}

/** The sentence of an answer that is none of success. */
export async function troubleOf(response: Response, told?: unknown): Promise<Trouble> {
  const problem = (told ?? (await response.json().catch(() => null))) as Partial<Schemas["Problem"]> | null;
  if (response.status === 401) signedOut();
  const detail = problem?.detail ?? `Creel answered with status ${response.status}. Try again.`;
  return new Trouble(detail, problem?.code ?? null, response.status);
}

interface Answered<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The answer's body, or a `Trouble`. */
export async function take<T>(asked: Promise<Answered<T>>): Promise<T> {
  const answered = await asked.catch((error: unknown) => {
    if (error instanceof TypeError) throw new Trouble(UNREACHABLE);
    throw error;
  });
  if (!answered.response.ok) throw await troubleOf(answered.response, answered.error ?? undefined);
  return answered.data as T;
}

/** The same for what the description has no types for: bodies of bytes, and streams. */
export async function bytes(path: string, options: RequestInit = {}): Promise<Response> {
  const response = await fetch(path, options).catch((error: unknown) => {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Trouble(UNREACHABLE);
  });
  if (!response.ok) throw await troubleOf(response);
  return response;
}

export function sentence(error: unknown): string {
  if (error instanceof Error) return error.message;
  return String(error);
}
