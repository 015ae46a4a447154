// What a token or a device may do: some of what its owner may.

import type { Scope } from "../api/client";
import { Check } from "../ui/basics";

export function Scopes({ mine, chosen, choose }: { mine: Scope[]; chosen: Scope[]; choose: (scopes: Scope[]) => void }) {
  const turn = (scope: Scope, on: boolean) => choose(mine.filter((one) => (one === scope ? on : chosen.includes(one))));
  return (
    <fieldset className="rounded-md border border-line p-3">
      <legend className="px-1 text-[0.8125rem] font-medium">What it may do</legend>
      <div className="grid gap-2 sm:grid-cols-2">
        {mine.map((scope) => <Check key={scope} label={<code>{scope}</code>} value={scope} checked={chosen.includes(scope)} onChange={(event) => turn(scope, event.target.checked)} />)}
      </div>
    </fieldset>
  );
}
