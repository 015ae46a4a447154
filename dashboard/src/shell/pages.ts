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
];
