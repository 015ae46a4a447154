import { expect, test } from "vitest";

import { events, read } from "./sse";

test("events are taken where they are whole, and the rest waits", () => {
  expect(events('id: 7\nevent: text\ndata: {"a":1}\n\n: still here\n\nid: 8\nda')).toEqual({
    whole: [{ id: 7, data: '{"a":1}' }],
    rest: "id: 8\nda",
  });
});

test("lines of data belong together, and one blank is the stream's own", () => {
  expect(events("data:  a\ndata:b\r\n\r\n").whole).toEqual([{ id: 0, data: " a\nb" }]);
});

test("a stream is the same however it was cut, in the middle of a letter too", async () => {
  const bytes = new TextEncoder().encode('id: 1\ndata: "ä"\n\nid: 2\ndata: "€"\n\n');
  for (let cut = 1; cut < bytes.length; cut += 1) {
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(bytes.slice(0, cut));
        controller.enqueue(bytes.slice(cut));
        controller.close();
      },
    });
    const heard: string[] = [];
    await read(new Response(body), (sent) => heard.push(...sent.map(({ id, data }) => `${id} ${data}`)));
    expect(heard).toEqual(['1 "ä"', '2 "€"']);
  }
});
