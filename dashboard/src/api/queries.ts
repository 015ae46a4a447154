// What is asked of the API and kept: one name per question, so that news can say which answer is old.

import { keepPreviousData, QueryClient, queryOptions, useQuery } from "@tanstack/react-query";

import { api, type Schemas, type Scope, take, Trouble } from "./client";

export const client = new QueryClient({
  defaultOptions: {
    queries: {
      // News come by the event stream; what has none is asked again when it is shown again.
      staleTime: 15_000,
      retry: (tries, error) => tries < 3 && (!(error instanceof Trouble) || error.status === 0 || error.status >= 500),
      retryDelay: (tries) => Math.min(250 * 2 ** tries, 4000),
      refetchOnWindowFocus: true,
    },
  },
});

/** Whoever is signed in; null: nobody. */
export const meQuery = queryOptions({
  queryKey: ["me"],
  queryFn: async () => {
    try {
      return await take(api.GET("/v1/whoami"));
    } catch (error) {
      if (error instanceof Trouble && error.status === 401) return null;
      throw error;
    }
  },
  staleTime: 60_000,
});

export type Identity = Schemas["Identity"];

/** Who is signed in, on pages that are only shown to somebody who is. */
export function useMe() {
  const me = useQuery(meQuery).data;
  if (!me) throw new Error("nobody is signed in");
  return { ...me, may: (scope: Scope) => me.scopes.includes(scope) };
}

export const agentsQuery = queryOptions({
  queryKey: ["agents"],
  queryFn: async () => {
    const found: Schemas["Agent"][] = [];
    let cursor: string | undefined;
    do {
      const page = await take(api.GET("/v1/agents", { params: { query: { limit: 200, cursor } } }));
      found.push(...page.items);
      cursor = page.next_cursor ?? undefined;
    } while (cursor);
    return found.sort((a, b) => a.name.localeCompare(b.name));
  },
  staleTime: 60_000,
});

export const agentQuery = (agent: string) =>
  queryOptions({
    queryKey: ["agents", agent],
    queryFn: () => take(api.GET("/v1/agents/{agent}", { params: { path: { agent } } })),
    initialData: () => client.getQueryData(agentsQuery.queryKey)?.find((one) => one.name === agent),
    initialDataUpdatedAt: () => client.getQueryState(agentsQuery.queryKey)?.dataUpdatedAt,
    staleTime: 60_000,
  });

export const providersQuery = queryOptions({
  queryKey: ["providers"],
  queryFn: async () => (await take(api.GET("/v1/providers"))).items,
});

export const sessionsQuery = (agent: string) =>
  queryOptions({
    queryKey: ["sessions", agent],
    queryFn: async () => (await take(api.GET("/v1/agents/{agent}/sessions", { params: { path: { agent } } }))).items,
  });

export const usageQuery = (group: Schemas["UsageGroup"], days: number, agent?: string) =>
  queryOptions({
    queryKey: ["usage", group, days, agent ?? null],
    queryFn: () => {
      const from = new Date(Date.now() - days * 86_400_000).toISOString();
      return take(api.GET("/v1/usage", { params: { query: { group, from, agent } } }));
    },
    placeholderData: keepPreviousData,
  });

export const schedulesQuery = (agent: string) =>
  queryOptions({
    queryKey: ["schedules", agent],
    queryFn: async () => (await take(api.GET("/v1/agents/{agent}/schedules", { params: { path: { agent } } }))).items,
    // The end of a run is written after the end of its turn is told.
    refetchInterval: ({ state }) => (state.data?.some((one) => one.last_run?.state === "running") ? 2000 : false),
  });

/** An agent as it is now, put in place of what was known of it. */
export function know(agent: Schemas["Agent"]) {
  client.setQueryData(agentQuery(agent.name).queryKey, agent);
  client.setQueryData(agentsQuery.queryKey, (all) => {
    if (!all) return all;
    return [...all.filter((one) => one.id !== agent.id), agent].sort((a, b) => a.name.localeCompare(b.name));
  });
}
