// Changes to an agent, made to the revision that was looked at.

import { api, type Schemas, take } from "../api/client";
import { client, know } from "../api/queries";

/** Of what somebody edited: another change in between is not overwritten. */
export async function change(agent: Schemas["Agent"], body: Schemas["PatchAgent"]) {
  know(await take(api.PATCH("/v1/agents/{agent}", { params: { path: { agent: agent.name }, header: { "If-Match": `"${agent.revision}"` } }, body })));
}

/** Of what it should do now, whatever else was changed meanwhile. */
export async function intend(agent: Schemas["Agent"], intent: "run" | "sleep" | "stop") {
  know(await take(api.PATCH("/v1/agents/{agent}", { params: { path: { agent: agent.name }, header: { "If-Match": "*" } }, body: { intent } })));
}

export async function restart(agent: Schemas["Agent"]) {
  await take(api.POST("/v1/agents/{agent}/restart", { params: { path: { agent: agent.name } } }));
  await client.invalidateQueries({ queryKey: ["agents"] });
}
