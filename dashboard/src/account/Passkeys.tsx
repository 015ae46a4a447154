// The passkeys of whoever is signed in: added, renamed, removed.

import { useState } from "react";

import { api, type Schemas, take } from "../api/client";
import { create, type Place, where } from "../enter/passkeys";
import { day } from "../lib/format";
import { useAct } from "../lib/use";
import { Button, Card, Field, Notice } from "../ui/basics";
import { Current, Form, useSelf } from "./Account";
import { optional, proven } from "./proof";

type Passkey = Schemas["Passkey"];
type Fields = Record<string, string>;

function state(place: Place, at: string | null | undefined): string {
  switch (place) {
    case "here":
      return "A passkey signs you in by this device, your phone or a security key, without a password and without a code.";
    case "elsewhere":
      return `Passkeys work at ${at}: browsers make them for a name, not for an address.`;
    case "nowhere":
      return "There are no passkeys here: browsers make them for a name, not for an address. Whoever runs this Creel can give it one with creel up --public-url.";
    case "unsupported":
      return "This browser has no passkeys.";
  }
}

function Rename({ passkey, close }: { passkey: Passkey; close: () => void }) {
  const { said } = useSelf();
  const act = useAct(async ({ name = "" }: Fields) => {
    await take(api.PATCH("/v1/me/passkeys/{passkey}", { params: { path: { passkey: passkey.id } }, body: { name } }));
    close();
    await said(`“${passkey.name}” is now called “${name.trim()}”.`);
  });
  return (
    <Form id={`rename-${passkey.id}`} act={act}>
      {(trouble) => (
        <>
          <Field label="New name" name="name" required maxLength={100} autoComplete="off" defaultValue={passkey.name} autoFocus trouble={trouble("name")} />
          <div className="flex gap-2"><Button type="submit" busy={act.busy}>Save</Button><Button kind="quiet" aria-label="Save: cancel" onClick={close}>Cancel</Button></div>
        </>
      )}
    </Form>
  );
}

function Remove({ passkey, close }: { passkey: Passkey; close: () => void }) {
  const { said, byPasskey } = useSelf();
  const act = useAct(async ({ password = "" }: Fields) => {
    const body = optional("password", password);
    await proven(password, byPasskey, () => take(api.POST("/v1/me/passkeys/{passkey}/remove", { params: { path: { passkey: passkey.id } }, body })));
    close();
    await said(`The passkey “${passkey.name}” was removed.`);
  });
  return (
    <Form id={`remove-${passkey.id}`} act={act}>
      {(trouble) => (
        <>
          <p className="text-soft">It will no longer sign you in. The device that keeps it has it until you delete it there.</p>
          <Current trouble={trouble("password")} />
          <div className="flex gap-2"><Button type="submit" kind="bad" busy={act.busy}>Remove for good</Button><Button kind="quiet" aria-label="Remove for good: cancel" onClick={close}>Cancel</Button></div>
        </>
      )}
    </Form>
  );
}

function Item({ passkey }: { passkey: Passkey }) {
  const [open, setOpen] = useState<"rename" | "remove" | null>(null);
  const used = passkey.last_used_at ? `last used ${day(passkey.last_used_at)}` : "not used yet";
  const kind = passkey.synced ? "may be on several devices" : "on one device";
  const elsewhere = passkey.usable ? "" : `; of use at ${passkey.relying_party} only`;
  const close = () => setOpen(null);
  return (
    <li className="grid gap-3 rounded-md border border-line p-3">
      <div className="flex flex-wrap items-center gap-2">
        <span className="min-w-40 flex-1 [overflow-wrap:anywhere]">
          <strong className="font-medium">{passkey.name}</strong>
          <span className="block text-xs text-soft">added {day(passkey.created_at)}, {used}, {kind}{elsewhere}</span>
        </span>
        <Button aria-label={`Rename ${passkey.name}`} disabled={open !== null} onClick={() => setOpen("rename")}>Rename</Button>
        <Button aria-label={`Remove ${passkey.name}`} disabled={open !== null} onClick={() => setOpen("remove")}>Remove</Button>
      </div>
      {open === "rename" && <Rename passkey={passkey} close={close} />}
      {open === "remove" && <Remove passkey={passkey} close={close} />}
    </li>
  );
}

export function Passkeys() {
  const { passkeys, options, byPasskey, said } = useSelf();
  const place = where(options);
  const add = useAct(async ({ name = "", password = "" }: Fields) => {
    const credential = await proven(password, byPasskey, () => create(password));
    const passkey = await take(api.POST("/v1/me/passkeys/finish", { body: { name, credential } }));
    await said(`The passkey “${passkey.name}” was added. You can sign in with it from now on.`);
  });
  // By a link that is good once: the session of this address is not known at the other.
  const move = useAct(async () => {
    const { path } = await take(api.POST("/v1/sign-in-links"));
    location.assign(`${options.passkeys_at ?? ""}${path}`);
  });
  return (
    <Card title="Passkeys">
      <p id="passkeys-state">{state(place, options.passkeys_at)}</p>
      {place === "elsewhere" && <div><Button busy={move.busy} onClick={() => void move.run()}>Go on at {options.passkeys_at}</Button></div>}
      <Notice>{move.trouble}</Notice>
      <ul id="passkeys" aria-label="Passkeys" className="grid gap-2 empty:hidden">{passkeys.map((passkey) => <Item key={passkey.id} passkey={passkey} />)}</ul>
      {place === "here" && (
        <Form id="add-passkey" act={add}>
          {(trouble) => (
            <>
              <Field label="Name, to tell it from others" name="name" required maxLength={100} autoComplete="off" placeholder="my laptop" trouble={trouble("name")} />
              <Current trouble={trouble("password")} />
              <div><Button type="submit" busy={add.busy}>Add a passkey</Button></div>
            </>
          )}
        </Form>
      )}
    </Card>
  );
}
