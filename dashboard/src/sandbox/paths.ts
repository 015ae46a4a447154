// Paths of an agent's files: relative to its workspace, which is ".".

export const ROOT = ".";

export const join = (folder: string, name: string) => (folder === ROOT ? name : `${folder}/${name}`);

export function parts(path: string): { name: string; path: string }[] {
  if (path === ROOT) return [];
  const names = path.split("/").filter(Boolean);
  return names.map((name, at) => ({ name, path: names.slice(0, at + 1).join("/") }));
}

export const content = (agent: string, path: string) => `/v1/agents/${encodeURIComponent(agent)}/files/content?path=${encodeURIComponent(path)}`;

/** Null: it is no text, or too long to be edited in a page. */
export const EDITED_BYTES = 512 * 1024;
export function text(bytes: Uint8Array): string | null {
  try {
    const found = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return found.includes("\0") ? null : found;
  } catch {
    return null;
  }
}
