// The pages of the dashboard that are in its navigation, and who sees them.

import type { Scope } from "../api/client";
import type { IconName } from "../ui/icons";

export interface Place {
  href: string;
  name: string;
  icon: IconName;
  needs: Scope;
}

export const SECTIONS: { title: string; places: Place[] }[] = [
  { title: "Work", places: [{ href: "/agents", name: "Agents", icon: "agents", needs: "agents:read" }] },
  {
    title: "Org",
    places: [
      { href: "/org/members", name: "Members", icon: "members", needs: "members:read" },
      { href: "/org/models", name: "Models and secrets", icon: "providers", needs: "providers:read" },
      { href: "/org/tokens", name: "Tokens and devices", icon: "key", needs: "tokens:read" },
      { href: "/org/usage", name: "Usage", icon: "usage", needs: "usage:read" },
      { href: "/org/audit", name: "Audit", icon: "audit", needs: "audit:read" },
    ],
  },
  {
    title: "Operator",
    places: [
      { href: "/operator/host", name: "Host", icon: "host", needs: "platform:write" },
      { href: "/operator/orgs", name: "Orgs", icon: "members", needs: "platform:write" },
      { href: "/operator/models", name: "Models for everybody", icon: "providers", needs: "platform:write" },
      { href: "/operator/sign-in", name: "Sign-in", icon: "key", needs: "platform:write" },
      { href: "/operator/operators", name: "Operators", icon: "user", needs: "platform:write" },
    ],
  },
];
