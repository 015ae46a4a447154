// Who did what in the org, and whether the trail is as it was written.

import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api, bytes, type Schemas, take } from "../api/client";
import { save } from "../lib/csv";
import { moment } from "../lib/format";
import { useAct } from "../lib/use";
import { Badge, Button, Card, Empty, Field, Lines, Notice, Page } from "../ui/basics";

type Entry = Schemas["AuditRecord"];

/** Of the export, as it comes in pages. */
const PAGE_ENTRIES = 200;

/** The whole trail as a file that `creel audit verify` reads. */
async function download() {
  const pages: string[] = [];
  for (let after = 0; ; ) {
    const lines = await (await bytes(`/v1/audit/export?after=${after}&limit=${PAGE_ENTRIES}`)).text();
    const last = lines.trimEnd().split("\n").at(-1);
    if (!last) break;
    pages.push(lines);
    after = (JSON.parse(last) as { metadata: { sequence: number } }).metadata.sequence;
  }
  save("creel-audit.ndjson", pages, "application/x-ndjson");
}

function Verdict() {
  const [verdict, setVerdict] = useState<Schemas["AuditVerdict"] | null>(null);
  const act = useAct(async () => setVerdict(await take(api.GET("/v1/audit/verify"))));
  return (
    <Card>
      <div className="flex flex-wrap items-center gap-3">
        <p className="flex-1">Each entry holds a hash of the one before it, sealed by a key that the database does not hold.</p>
        <Button busy={act.busy} onClick={() => void act.run()}>{act.busy ? "Verifying…" : "Verify the trail"}</Button>
      </div>
      <Notice>{act.trouble}</Notice>
      {verdict && (
        <Notice tone={verdict.intact ? "good" : "bad"}>
          {verdict.intact
            ? `It is intact: ${verdict.good} entries, up to number ${verdict.sequence}${verdict.removed > 0 ? `; the first ${verdict.removed} were removed by age` : ""}.`
            : `It is not as it was written, at number ${verdict.fault?.sequence}: ${verdict.fault?.detail}`}
        </Notice>
      )}
    </Card>
  );
}

function Row({ entry }: { entry: Entry }) {
  const { actor, act } = entry;
  const on = [act.target_kind, act.target_name || act.target].filter(Boolean).join(" ");
  return (
    <li>
      <details>
        <summary className="flex min-h-11 flex-wrap items-center gap-x-3 gap-y-0.5 px-4 py-1.5">
          <time dateTime={entry.at} className="w-40 shrink-0 text-xs text-soft">{moment(entry.at)}</time>
          <span className="min-w-48 flex-1 [overflow-wrap:anywhere]"><span className="font-medium">{actor.name || actor.kind}</span> <code>{act.action}</code> <span className="text-soft">{on}</span></span>
          {act.repeats > 1 && <span className="text-xs text-soft">{act.repeats} times</span>}
          {act.result === "refused" && <Badge tone="bad">refused</Badge>}
        </summary>
        <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1 border-t border-line bg-sunken px-4 py-3 text-xs [overflow-wrap:anywhere]">
          {([
            ["Number", String(entry.sequence)], ["By", `${actor.kind} ${actor.id}`], ["Via", actor.via], ["From", actor.address], ["By the rule", actor.rule], ["Request", actor.request],
            ["On", act.target], ...Object.entries(act.details), ["Hash", entry.hash],
          ] as [string, string][]).filter(([, value]) => value).map(([name, value]) => <div key={name} className="contents"><dt className="text-soft">{name}</dt><dd>{value}</dd></div>)}
        </dl>
      </details>
    </li>
  );
}

export function Audit() {
  const [actor, setActor] = useState("");
  const [action, setAction] = useState("");
  const [asked, setAsked] = useState<{ actor?: string; action?: string }>({});
  const query = useInfiniteQuery({
    queryKey: ["audit", asked],
    queryFn: ({ pageParam }) => take(api.GET("/v1/audit", { params: { query: { ...asked, limit: 50, cursor: pageParam } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page: Schemas["AuditList"]) => page.next_cursor ?? undefined,
  });
  const whole = useAct(download);
  const items = query.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Page title="Audit" actions={<Button busy={whole.busy} onClick={() => void whole.run()}>{whole.busy ? "Exporting…" : "Export"}</Button>}>
      <Notice>{whole.trouble}</Notice>
      <Verdict />
      <form
        role="search" className="flex flex-wrap items-end gap-2"
        onSubmit={(event) => { event.preventDefault(); setAsked({ ...(actor.trim() && { actor: actor.trim() }), ...(action.trim() && { action: action.trim() }) }); }}
      >
        <Field label="Who" value={actor} onChange={(event) => setActor(event.target.value)} placeholder="id of a user" className="min-w-40 flex-1 sm:max-w-64" />
        <Field label="Action" value={action} onChange={(event) => setAction(event.target.value)} placeholder="agent.create" className="min-w-40 flex-1 sm:max-w-64" autoCapitalize="none" spellCheck={false} />
        <Button type="submit">Search</Button>
      </form>
      <Card flush>
        {query.error && <div className="p-4"><Notice>{query.error.message}</Notice></div>}
        {query.isPending && <Lines rows={8} />}
        {query.data && items.length === 0 && <Empty title="No entry fits" />}
        <ul className="divide-y divide-line">{items.map((entry) => <Row key={entry.sequence} entry={entry} />)}</ul>
        {query.hasNextPage && <p className="border-t border-line p-3 text-center"><Button busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>Earlier entries</Button></p>}
      </Card>
    </Page>
  );
}
