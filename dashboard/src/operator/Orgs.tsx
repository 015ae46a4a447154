// All orgs of the platform.

import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api, type Schemas, take } from "../api/client";
import { client } from "../api/queries";
import { count, day, moment } from "../lib/format";
import { useAct } from "../lib/use";
import { Badge, Button, Card, Lines, Notice, Page } from "../ui/basics";
import { Confirm } from "../ui/dialog";
import { Table } from "../ui/table";

type Org = Schemas["Org"];

export function Orgs() {
  const query = useInfiniteQuery({
    queryKey: ["orgs"],
    queryFn: ({ pageParam }) => take(api.GET("/v1/orgs", { params: { query: { limit: 100, cursor: pageParam } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page: Schemas["OrgList"]) => page.next_cursor ?? undefined,
  });
  const [open, setOpen] = useState<Org | null>(null);
  const change = async (org: Org | null) => {
    if (!org) return;
    const params = { path: { org: org.id } };
    await take(org.suspended_at ? api.POST("/v1/orgs/{org}/resume", { params }) : api.POST("/v1/orgs/{org}/suspend", { params }));
    await client.invalidateQueries({ queryKey: ["orgs"] });
  };
  const suspend = useAct(() => change(open));
  const resume = useAct(change);
  const items = query.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Page title="Orgs">
      <Notice>{resume.trouble}</Notice>
      <Card flush>
        {query.error && <div className="p-4"><Notice>{query.error.message}</Notice></div>}
        {query.isPending && <Lines rows={4} />}
        {items.length > 0 && (
          <Table
            label="Orgs" items={items} rowKey={(org) => org.id}
            columns={[
              { name: "Name", cell: (org) => <span className="flex flex-wrap items-center gap-2 font-medium">{org.name}{org.suspended_at && <Badge tone="bad">suspended</Badge>}</span> },
              { name: "Agents", end: true, cell: (org) => count(org.agents) },
              { name: "Members", end: true, wide: true, cell: (org) => count(org.members) },
              { name: "Made", wide: true, cell: (org) => <span className="text-soft">{day(org.created_at)}</span> },
              { name: "Suspended", wide: true, cell: (org) => <span className="text-soft">{org.suspended_at ? moment(org.suspended_at) : ""}</span> },
              {
                name: "Do", mute: true, end: true,
                cell: (org) => org.suspended_at
                  ? <Button aria-label={`Resume ${org.name}`} busy={resume.busy} onClick={() => void resume.run(org)}>Resume</Button>
                  : <Button kind="bad" aria-label={`Suspend ${org.name}`} onClick={() => setOpen(org)}>Suspend</Button>,
              },
            ]}
          />
        )}
        {query.hasNextPage && <p className="border-t border-line p-3 text-center"><Button busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>More</Button></p>}
      </Card>
      {open && <Confirm title={`Suspend ${open.name}?`} action="Suspend it" act={suspend} onClose={() => setOpen(null)}>Its agents stop, and nobody of it does anything until it is resumed.</Confirm>}
    </Page>
  );
}
