// A live command: messages of one byte of kind and a payload, as docs/reference/exec.md has them.

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const EXIT = 3;
const RESIZE = 4;
const FAILED = 7;
/** Kept while the line is not up yet; what is typed after them is not taken. */
const EARLY_MESSAGES = 1000;
/** Of a message's payload. */
const MOST_BYTES = 64 * 1024;

export type Heard = { kind: "output"; bytes: Uint8Array } | { kind: "exit"; status: number } | { kind: "failed"; reason: string };

export function decode(message: ArrayBuffer): Heard | null {
  const [kind] = new Uint8Array(message, 0, 1);
  const bytes = new Uint8Array(message, 1);
  switch (kind) {
    case STDOUT:
    case STDERR:
      return { kind: "output", bytes };
    case EXIT:
      return { kind: "exit", status: bytes[0] ?? 0 };
    case FAILED:
      return { kind: "failed", reason: new TextDecoder().decode(bytes) };
    default:
      return null;
  }
}

/** What is typed or pasted, in messages that are not too long. */
export function input(bytes: Uint8Array): Uint8Array<ArrayBuffer>[] {
  const messages: Uint8Array<ArrayBuffer>[] = [];
  for (let at = 0; at < bytes.length; at += MOST_BYTES) {
    const piece = bytes.subarray(at, at + MOST_BYTES);
    const message = new Uint8Array(piece.length + 1);
    message[0] = STDIN;
    message.set(piece, 1);
    messages.push(message);
  }
  return messages;
}

export function resize(columns: number, rows: number): Uint8Array<ArrayBuffer> {
  const message = new DataView(new ArrayBuffer(5));
  message.setUint8(0, RESIZE);
  message.setUint16(1, columns);
  message.setUint16(3, rows);
  return new Uint8Array(message.buffer);
}

/** Bash where there is one. */
const SHELL = ["/bin/sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash -l; else exec sh -l; fi"];

export interface Line {
  say: (text: string) => void;
  size: (columns: number, rows: number) => void;
  hangUp: () => void;
}

/** A shell in an agent's sandbox. `over` is called once, with a sentence. */
export function shell(agent: string, columns: number, rows: number, heard: (bytes: Uint8Array) => void, over: (said: string) => void): Line {
  const at = new URL(`/v1/agents/${encodeURIComponent(agent)}/exec`, location.href);
  at.protocol = at.protocol.replace("http", "ws");
  const socket = new WebSocket(at);
  socket.binaryType = "arraybuffer";
  let ended = false;
  const end = (said: string) => {
    if (ended) return;
    ended = true;
    over(said);
  };
  // What is typed before the line is up is not lost.
  let early: Uint8Array<ArrayBuffer>[] = [];
  const send = (message: Uint8Array<ArrayBuffer>) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(message);
    else if (socket.readyState === WebSocket.CONNECTING && early.length < EARLY_MESSAGES) early.push(message);
  };
  socket.onopen = () => {
    socket.send(JSON.stringify({ argv: SHELL, tty: [columns, rows], env: { TERM: "xterm-256color" } }));
    early.forEach((message) => socket.send(message));
    early = [];
  };
  socket.onmessage = (message) => {
    const told = decode(message.data as ArrayBuffer);
    if (told?.kind === "output") heard(told.bytes);
    if (told?.kind === "exit") end(told.status === 0 ? "The shell has ended." : `The shell has ended with status ${told.status}.`);
    if (told?.kind === "failed") end(`It could not be started: ${told.reason}.`);
  };
  socket.onclose = (closed) => end(closed.reason ? `It was closed: ${closed.reason}.` : "The connection to the sandbox was lost.");
  const encoder = new TextEncoder();
  return {
    say: (text) => input(encoder.encode(text)).forEach(send),
    size: (columns_, rows_) => send(resize(columns_, rows_)),
    hangUp: () => { ended = true; socket.close(); },
  };
}
