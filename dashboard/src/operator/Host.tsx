// The host that Creel runs on: what was found by trying, and the images of the runtimes.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { api, type Schemas, take } from "../api/client";
import { client, useMe } from "../api/queries";
import { moment, size } from "../lib/format";
import { useAct } from "../lib/use";
import { Badge, Button, Card, Loaded, Notice, Page } from "../ui/basics";
import { Confirm } from "../ui/dialog";

type Image = Schemas["Image"];

function told(image: Image): string {
  switch (image.state) {
    case "absent":
      return "not built";
    case "building":
      return `${image.percent} %, ${image.step}`;
    case "ready":
      return `${size(image.bytes)}, built ${moment(image.built_at)}`;
    case "failed":
      return image.reason;
  }
}

const TONES = { absent: "plain", building: "wait", ready: "good", failed: "bad" } as const;

function ImageRow({ image }: { image: Image }) {
  const may = useMe().may("platform:write");
  const [asks, setAsks] = useState(false);
  const path = { image: image.name };
  const refresh = () => client.invalidateQueries({ queryKey: ["images"] });
  const build = useAct(async () => {
    await take(api.POST("/v1/images/{image}/build", { params: { path } }));
    await refresh();
  });
  const remove = useAct(async () => {
    await take(api.DELETE("/v1/images/{image}", { params: { path } }));
    await refresh();
  });
  return (
    <li className="grid gap-2 px-4 py-3">
      <div className="flex flex-wrap items-center gap-2">
        <span className="min-w-48 flex-1 [overflow-wrap:anywhere]"><span className="flex items-center gap-2 font-medium">{image.name} {image.version}<Badge tone={TONES[image.state]}>{image.state}</Badge></span><span className="block text-xs text-soft">{told(image)}</span></span>
        {may && (image.state === "absent" || image.state === "failed") && <Button busy={build.busy} aria-label={`Build ${image.name}`} onClick={() => void build.run()}>Build</Button>}
        {may && image.state === "ready" && <Button kind="bad" aria-label={`Remove the image of ${image.name}`} onClick={() => setAsks(true)}>Remove</Button>}
      </div>
      {image.state === "building" && <progress aria-label={`Building ${image.name}`} max={100} value={image.percent} className="h-1.5 w-full accent-accent" />}
      <Notice>{build.trouble}</Notice>
      {asks && <Confirm title={`Remove the image of ${image.name}?`} action="Remove it" act={remove} onClose={() => setAsks(false)}>Agents of this runtime wait until it is built again. An image that is in use stays.</Confirm>}
    </li>
  );
}

export function Host() {
  const host = useQuery({ queryKey: ["host"], queryFn: () => take(api.GET("/v1/host")), refetchInterval: 10_000 });
  const version = useQuery({ queryKey: ["version"], queryFn: () => take(api.GET("/v1/version")) }).data;
  const images = useQuery({
    queryKey: ["images"], queryFn: async () => (await take(api.GET("/v1/images"))).items,
    refetchInterval: ({ state }) => (state.data?.some((image) => image.state === "building") ? 2000 : false),
  });
  return (
    <Page title="Host" narrow lead={version ? `Creel ${version.version}` : "Creel"}>
      <Card title="Sandboxes" flush>
        <Loaded query={host} rows={3}>
          {(found) => (
            <div className="grid gap-3 p-4">
              <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1.5 [overflow-wrap:anywhere]">
                <dt className="text-soft">Isolated by</dt><dd>{found.backend}</dd>
                <dt className="text-soft">There are now</dt><dd>{found.sandboxes}</dd>
                <dt className="text-soft">Paging out</dt><dd>{found.paging.works ? "works" : "does not work"}: {found.paging.found}</dd>
              </dl>
              {found.paging.next && <p className="text-soft">{found.paging.next}</p>}
              {found.tried.length > 0 && <details><summary className="min-h-6 text-soft">What was tried</summary><ul className="mt-1 grid list-disc gap-1 pl-5 [overflow-wrap:anywhere]">{found.tried.map((one) => <li key={one}>{one}</li>)}</ul></details>}
            </div>
          )}
        </Loaded>
      </Card>
      <Card title="Images" flush>
        <Loaded query={images} rows={2}>{(items) => <ul className="divide-y divide-line">{items.map((image) => <ImageRow key={`${image.name} ${image.version}`} image={image} />)}</ul>}</Loaded>
      </Card>
    </Page>
  );
}
