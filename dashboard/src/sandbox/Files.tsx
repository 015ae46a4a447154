// The agent's files: looked at, taken down, put up, edited, moved, deleted.

import { useQuery } from "@tanstack/react-query";
import { type DragEvent, useRef, useState } from "react";

import { api, bytes, type Schemas, take } from "../api/client";
import { client, useMe } from "../api/queries";
import { moment, size } from "../lib/format";
import { navigate, useSearch } from "../lib/router";
import { useAct } from "../lib/use";
import { Button, Card, cx, Empty, Field, Loaded, Notice } from "../ui/basics";
import { Confirm, Dialog } from "../ui/dialog";
import { Icon } from "../ui/icons";
import { Menu, MenuItem } from "../ui/menu";
import { Table } from "../ui/table";
import { FileEditor } from "./FileEditor";
import { content, EDITED_BYTES, join, parts, ROOT } from "./paths";

type Entry = Schemas["Entry"];
type Asking = { what: "rename" | "remove" | "folder" | "file"; entry?: Entry };

function Name({ title, label, action, initial, act, onClose }: { title: string; label: string; action: string; initial: string; act: (name: string) => Promise<unknown>; onClose: () => void }) {
  const [name, setName] = useState(initial);
  const doing = useAct(act);
  return (
    <Dialog open onClose={onClose} title={title}>
      <form className="grid gap-3 p-4" onSubmit={async (event) => { event.preventDefault(); if (await doing.run(name)) onClose(); }}>
        <Field label={label} required maxLength={255} value={name} onChange={(event) => setName(event.target.value)} autoComplete="off" autoCapitalize="none" spellCheck={false} autoFocus trouble={doing.trouble} />
        <div className="flex justify-end gap-2"><Button onClick={onClose}>Cancel</Button><Button type="submit" kind="main" busy={doing.busy}>{action}</Button></div>
      </form>
    </Dialog>
  );
}

export function Files({ agent }: { agent: string }) {
  const me = useMe();
  const may = me.may("computer:write");
  const folder = useSearch().get("path") ?? ROOT;
  const key = ["files", agent, folder];
  const query = useQuery({ queryKey: key, queryFn: async () => (await take(api.GET("/v1/agents/{agent}/files", { params: { path: { agent }, query: { path: folder } } }))).items });
  const [asking, setAsking] = useState<Asking | null>(null);
  const [open, setOpen] = useState<string | null>(null);
  const [over, setOver] = useState(false);
  const chooser = useRef<HTMLInputElement>(null);
  const refresh = () => client.invalidateQueries({ queryKey: ["files", agent] });
  const close = () => setAsking(null);
  const to = (path: string) => navigate(`/agents/${agent}/sandbox${path === ROOT ? "" : `?path=${encodeURIComponent(path)}`}`);
  const upload = useAct(async (files: File[]) => {
    try {
      // One at a time: each is whole or not there.
      for (const file of files) await bytes(content(agent, join(folder, file.name)), { method: "PUT", headers: { "content-type": "application/octet-stream" }, body: file });
    } finally {
      await refresh();
    }
  });
  const remove = useAct(async () => {
    const entry = asking?.entry;
    if (!entry) return;
    await take(api.DELETE("/v1/agents/{agent}/files", { params: { path: { agent }, query: { path: join(folder, entry.name), recursive: entry.kind === "directory" } } }));
    await refresh();
  });
  const dropped = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    const files = [...event.dataTransfer.files];
    if (may && files.length > 0) void upload.run(files);
  };
  const name = (entry: Entry) => {
    if (entry.kind === "directory") {
      return <button type="button" className="flex items-center gap-2 text-left font-medium hover:underline" onClick={() => to(join(folder, entry.name))}><Icon name="folder" className="size-4 text-accent" />{entry.name}</button>;
    }
    const editable = entry.kind === "file" && entry.bytes <= EDITED_BYTES;
    return (
      <span className="flex items-center gap-2"><Icon name="file" className="size-4 text-soft" />
        {editable ? <button type="button" className="text-left hover:underline" onClick={() => setOpen(entry.name)}>{entry.name}</button> : entry.name}
        {entry.kind === "symlink" && <span className="text-xs text-soft">link</span>}
      </span>
    );
  };
  return (
    <Card
      flush
      title={
        <nav aria-label="Folder" className="flex flex-wrap items-center gap-1 font-medium">
          <button type="button" className="rounded hover:underline" onClick={() => to(ROOT)}>workspace</button>
          {parts(folder).map((part) => <span key={part.path} className="flex items-center gap-1"><span aria-hidden="true" className="text-soft">/</span><button type="button" className="rounded hover:underline" onClick={() => to(part.path)}>{part.name}</button></span>)}
        </nav>
      }
      actions={may && (
        <>
          <input ref={chooser} type="file" multiple hidden aria-label="Files to upload" onChange={(event) => { const files = [...(event.target.files ?? [])]; event.target.value = ""; if (files.length > 0) void upload.run(files); }} />
          <Button busy={upload.busy} onClick={() => chooser.current?.click()}>{upload.busy ? "Uploading…" : "Upload"}</Button>
          <Button onClick={() => setAsking({ what: "file" })}>New file</Button>
          <Button onClick={() => setAsking({ what: "folder" })}>New folder</Button>
        </>
      )}
    >
      <div onDragOver={(event) => { event.preventDefault(); setOver(true); }} onDragLeave={() => setOver(false)} onDrop={dropped} className={cx("min-h-40", over && may && "outline-2 -outline-offset-4 outline-accent outline-dashed")}>
        {upload.trouble && <div className="p-4 pb-0"><Notice>{upload.trouble}</Notice></div>}
        <Loaded query={query} rows={4}>
          {(entries) => entries.length === 0
            ? <Empty title="This folder is empty">{may && "Drop files here, or have the agent write some."}</Empty>
            : (
              <Table
                label={`Files in ${folder}`} items={[...entries].sort((a, b) => Number(b.kind === "directory") - Number(a.kind === "directory"))} rowKey={(entry) => entry.name}
                columns={[
                  { name: "Name", cell: name },
                  { name: "Size", end: true, cell: (entry) => (entry.kind === "file" ? size(entry.bytes) : "") },
                  { name: "Changed", wide: true, cell: (entry) => <span className="text-soft">{entry.modified_at ? moment(entry.modified_at) : ""}</span> },
                  {
                    name: "Do", mute: true, end: true,
                    cell: (entry) => (
                      <span className="flex justify-end gap-1">
                        {entry.kind === "file" && <a className="inline-flex min-h-8 items-center rounded-md px-2 text-accent hover:bg-sunken" href={content(agent, join(folder, entry.name))} download={entry.name} aria-label={`Download ${entry.name}`}>Download</a>}
                        {may && (
                          <Menu trigger={<Button kind="quiet" className="min-h-8 px-2" aria-label={`More for ${entry.name}`}>…</Button>}>
                            <MenuItem onSelect={() => setAsking({ what: "rename", entry })}>Rename or move</MenuItem>
                            <MenuItem bad onSelect={() => setAsking({ what: "remove", entry })}>Delete</MenuItem>
                          </Menu>
                        )}
                      </span>
                    ),
                  },
                ]}
              />
            )}
        </Loaded>
      </div>
      {open && <FileEditor agent={agent} path={join(folder, open)} onClose={() => setOpen(null)} />}
      {asking?.what === "folder" && <Name title="New folder" label="Name" action="Make it" initial="" onClose={close} act={async (given) => { await take(api.POST("/v1/agents/{agent}/files/mkdir", { params: { path: { agent }, query: { path: join(folder, given) } } })); await refresh(); }} />}
      {asking?.what === "file" && <Name title="New file" label="Name" action="Make it" initial="" onClose={close} act={async (given) => { if (query.data?.some((entry) => entry.name === given)) throw new Error("There is a file of this name."); await bytes(content(agent, join(folder, given)), { method: "PUT", headers: { "content-type": "application/octet-stream" }, body: "" }); await refresh(); setOpen(given); }} />}
      {asking?.what === "rename" && asking.entry && <Name title={`Rename or move ${asking.entry.name}`} label="New path, from the workspace" action="Move it" initial={join(folder, asking.entry.name)} onClose={close} act={async (given) => { await take(api.POST("/v1/agents/{agent}/files/move", { params: { path: { agent }, query: { from: join(folder, asking.entry?.name ?? ""), to: given } } })); await refresh(); }} />}
      {asking?.what === "remove" && asking.entry && <Confirm title={`Delete ${asking.entry.name}?`} action="Delete it" act={remove} onClose={close}>{asking.entry.kind === "directory" ? "The folder goes with all that is in it. " : ""}It cannot be brought back.</Confirm>}
    </Card>
  );
}
