// An invitation that is accepted with an account that there is: it is kept in this tab until somebody has signed in.

import { api, take } from "../api/client";

const KEPT = "creel-invitation";

export const keep = (code: string) => sessionStorage.setItem(KEPT, code);
export const dropKept = () => sessionStorage.removeItem(KEPT);

/** Accepts what was kept, and goes to that org. */
export async function acceptKept(): Promise<void> {
  const code = sessionStorage.getItem(KEPT);
  if (!code) return;
  dropKept();
  const joined = await take(api.POST("/v1/invitations/accept", { body: { code } }));
  await take(api.POST("/v1/me/org", { body: { org: joined.org } }));
  location.assign("/");
}
