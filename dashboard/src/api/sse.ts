// Server-sent events out of a fetch, which unlike an `EventSource` can carry headers and end.

export interface Sent {
  id: number;
  data: string;
}

/** Takes what has come of a stream apart: the events that are whole, and the rest that is not yet. */
export function events(text: string): { whole: Sent[]; rest: string } {
  const blocks = text.replaceAll("\r\n", "\n").split("\n\n");
  const rest = blocks.pop() ?? "";
  const whole: Sent[] = [];
  for (const block of blocks) {
    let id = 0;
    const data: string[] = [];
    for (const line of block.split("\n")) {
      if (line.startsWith("id:")) id = Number(line.slice(3));
      if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
    }
    if (data.length > 0) whole.push({ id, data: data.join("\n") });
  }
  return { whole, rest };
}

/** Reads a stream to its end; `heard` gets all that came at once. */
export async function read(response: Response, heard: (sent: Sent[]) => void): Promise<void> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) return;
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const { whole, rest } = events(text + value);
    text = rest;
    if (whole.length > 0) heard(whole);
  }
}
