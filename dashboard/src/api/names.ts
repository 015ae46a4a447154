// Who is meant by a user's id, where that may be known.

import { queryOptions, useQuery } from "@tanstack/react-query";

import { api, take } from "./client";
import { useMe } from "./queries";

export const membersQuery = queryOptions({ queryKey: ["members"], queryFn: async () => (await take(api.GET("/v1/members"))).items });

/** A member's name; whoever is no member any more is told by their id. */
export function useNames(): (user: string) => string {
  const me = useMe();
  const members = useQuery({ ...membersQuery, enabled: me.may("members:read") }).data;
  return (user) => members?.find((member) => member.user === user)?.name ?? user;
}
