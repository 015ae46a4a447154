// The messages of a session: pages that are kept, the newest first.

import { infiniteQueryOptions } from "@tanstack/react-query";

import { api, type Schemas, take } from "../api/client";
import { client } from "../api/queries";

type List = Schemas["MessageList"];

export const messagesQuery = (agent: string, session: string) =>
  infiniteQueryOptions({
    queryKey: ["messages", agent, session],
    queryFn: ({ pageParam }) =>
      take(api.GET("/v1/agents/{agent}/sessions/{session}/messages", { params: { path: { agent, session }, query: { cursor: pageParam } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page: List) => page.next_cursor ?? undefined,
    staleTime: 5000,
  });

/** Puts a turn that has just begun at the end, before the list is asked for again. */
export function begun(agent: string, session: string, turn: Schemas["Turn"]) {
  client.setQueryData(messagesQuery(agent, session).queryKey, (data) => {
    if (!data) return data;
    const [newest, ...older] = data.pages;
    if (!newest || newest.items.some((message) => message.turn === turn.id)) return data;
    const items: Schemas["Message"][] = [
      ...newest.items,
      { role: "user", text: turn.message, at: turn.created_at, turn: turn.id },
      { role: "agent", text: "", at: turn.created_at, turn: turn.id, state: "running" },
    ];
    return { ...data, pages: [{ ...newest, items }, ...older] };
  });
}
