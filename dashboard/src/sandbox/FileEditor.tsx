// One file, as text.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { bytes } from "../api/client";
import { client, useMe } from "../api/queries";
import { useAct } from "../lib/use";
import { Area, Button, Lines, Notice } from "../ui/basics";
import { Dialog } from "../ui/dialog";
import { content, text } from "./paths";

export function FileEditor({ agent, path, onClose }: { agent: string; path: string; onClose: () => void }) {
  const may = useMe().may("computer:write");
  const [edited, setEdited] = useState<string | null>(null);
  const query = useQuery({
    queryKey: ["file", agent, path], gcTime: 0, staleTime: Infinity,
    queryFn: async () => text(new Uint8Array(await (await bytes(content(agent, path))).arrayBuffer())),
  });
  const save = useAct(async () => {
    await bytes(content(agent, path), { method: "PUT", headers: { "content-type": "application/octet-stream" }, body: edited ?? "" });
    await client.invalidateQueries({ queryKey: ["files", agent] });
  });
  const send = async () => {
    if (await save.run()) onClose();
  };
  return (
    <Dialog open onClose={onClose} title={path} firm={edited !== null} className="w-[min(56rem,calc(100vw-1.5rem))]">
      <form className="grid gap-3 p-4" onSubmit={(event) => { event.preventDefault(); void send(); }}>
        {query.isPending && <Lines rows={6} />}
        {query.error && <Notice>{query.error.message}</Notice>}
        {query.data === null && <Notice tone="plain">It is not text. Download it instead.</Notice>}
        {typeof query.data === "string" && <Area mono label="Content" rows={20} readOnly={!may} spellCheck={false} value={edited ?? query.data} onChange={(event) => setEdited(event.target.value)} autoFocus />}
        <Notice>{save.trouble}</Notice>
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>{edited === null ? "Close" : "Drop changes"}</Button>
          {may && <Button type="submit" kind="main" busy={save.busy} disabled={edited === null}>Save</Button>}
        </div>
      </form>
    </Dialog>
  );
}
