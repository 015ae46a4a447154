// The sizes that a new agent can have: limits that its sandbox is held to.

import type { Schemas } from "../api/client";

export type Runtime = Schemas["Runtime"];
export type SizeName = "small" | "medium" | "large";

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

export interface Size {
  name: SizeName;
  title: string;
  limits: Required<Schemas["Limits"]>;
}

/** The smallest of each runtime is what an agent gets when nothing is asked for. */
export function sizes(runtime: Runtime): Size[] {
  if (runtime === "openclaw") {
    return [
      { name: "small", title: "Small", limits: { cpu_millis: 2000, memory_bytes: 1536 * MIB, disk_bytes: 4 * GIB, pids: 512 } },
      { name: "medium", title: "Medium", limits: { cpu_millis: 2000, memory_bytes: 3 * GIB, disk_bytes: 10 * GIB, pids: 1024 } },
      { name: "large", title: "Large", limits: { cpu_millis: 4000, memory_bytes: 6 * GIB, disk_bytes: 20 * GIB, pids: 2048 } },
    ];
  }
  return [
    { name: "small", title: "Small", limits: { cpu_millis: 1000, memory_bytes: 256 * MIB, disk_bytes: GIB, pids: 256 } },
    { name: "medium", title: "Medium", limits: { cpu_millis: 2000, memory_bytes: GIB, disk_bytes: 4 * GIB, pids: 512 } },
    { name: "large", title: "Large", limits: { cpu_millis: 4000, memory_bytes: 4 * GIB, disk_bytes: 20 * GIB, pids: 1024 } },
  ];
}

const FIRST = ["scout", "otter", "heron", "tern", "brook", "fen", "lark", "moss", "reed", "wren"];

/** A name that no agent has yet. */
export function freeName(taken: string[]): string {
  const free = FIRST.find((name) => !taken.includes(name));
  if (free) return free;
  for (let number = 2; ; number += 1) if (!taken.includes(`agent-${number}`)) return `agent-${number}`;
}
