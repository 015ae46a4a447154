// What concerns how somebody gets in is only changed by whoever shows once more that it is them.

import { Trouble } from "../api/client";
import { prove } from "../enter/passkeys";

/** Does `work`; where that needs a proof and no password was typed, a passkey is shown and it is done again. */
export async function proven<T>(typed: string, passkeys: boolean, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Trouble) || error.status !== 403 || typed || !passkeys) throw error;
  }
  await prove();
  return work();
}

export const optional = <K extends string>(name: K, value: string) => (value ? ({ [name]: value } as Record<K, string>) : {});
export const NOW = "Current password, unless you signed in just now";
