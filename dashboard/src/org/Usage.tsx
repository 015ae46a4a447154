// What was used and what it cost, as the providers reported it.

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import type { Schemas } from "../api/client";
import { usageQuery } from "../api/queries";
import { csv, save } from "../lib/csv";
import { count, money } from "../lib/format";
import { Button, Card, cx, Empty, INPUT, Loaded, Page } from "../ui/basics";
import { Table } from "../ui/table";

type Row = Schemas["UsageRow"];
type Group = Schemas["UsageGroup"];

const GROUPS: [Group, string][] = [["day", "By day"], ["agent", "By agent"], ["model", "By model"]];
const PERIODS: [number, string][] = [[1, "Last day"], [7, "Last 7 days"], [30, "Last 30 days"], [90, "Last 90 days"]];

const called = (row: Row) => row.name ?? row.key;

/** Each day of the period, also those on which nothing happened. */
export function days(items: Row[], from: string, to: string): { day: string; row: Row | undefined }[] {
  const found = new Map(items.map((row) => [row.key, row]));
  const all = [];
  for (let at = Date.parse(from.slice(0, 10)); at <= Date.parse(to); at += 86_400_000) {
    const day = new Date(at).toISOString().slice(0, 10);
    all.push({ day, row: found.get(day) });
  }
  return all;
}

/** Cost where there is any, tokens otherwise. */
function Bars({ report }: { report: Schemas["UsageReport"] }) {
  const priced = report.total.cost_micro_usd > 0;
  const value = (row: Row | undefined) => (!row ? 0 : priced ? row.cost_micro_usd : row.input_tokens + row.output_tokens);
  const told = (row: Row | undefined) => (priced ? money(value(row)) : `${count(value(row))} tokens`);
  const all = days(report.items, report.from, report.to);
  const most = Math.max(1, ...all.map(({ row }) => value(row)));
  return (
    <figure className="grid gap-1">
      <figcaption className="text-xs text-soft">{priced ? "Cost" : "Tokens"} of each day, at most {priced ? money(most) : count(most)}</figcaption>
      <div className="flex h-36 items-end gap-px border-b border-line" aria-hidden="true">
        {all.map(({ day, row }) => (
          <div key={day} title={`${day}: ${told(row)}`} className="flex h-full flex-1 items-end hover:bg-sunken">
            <div className="w-full min-w-0.5 rounded-t-sm bg-accent" style={{ height: `${(value(row) / most) * 100}%` }} />
          </div>
        ))}
      </div>
      <p className="flex justify-between text-xs text-soft"><span>{all[0]?.day}</span><span>{all.at(-1)?.day}</span></p>
    </figure>
  );
}

function download(report: Schemas["UsageReport"]) {
  const heads = [report.group, "calls", "input_tokens", "cached_input_tokens", "output_tokens", "cost_usd", "calls_without_price", "calls_without_usage"];
  const rows = report.items.map((row) => [called(row), row.calls, row.input_tokens, row.cached_input_tokens, row.output_tokens, row.cost_micro_usd / 1e6, row.calls_without_price, row.calls_without_usage]);
  save(`creel-usage-by-${report.group}-${report.to.slice(0, 10)}.csv`, [csv(heads, rows)]);
}

export function Usage() {
  const [group, setGroup] = useState<Group>("day");
  const [period, setPeriod] = useState(30);
  const query = useQuery(usageQuery(group, period));
  return (
    <Page
      title="Usage"
      actions={
        <>
          <select aria-label="Period" value={period} onChange={(event) => setPeriod(Number(event.target.value))} className={`${INPUT} w-auto!`}>{PERIODS.map(([value, title]) => <option key={value} value={value}>{title}</option>)}</select>
          <Button disabled={!query.data || query.data.items.length === 0} onClick={() => query.data && download(query.data)}>Download CSV</Button>
        </>
      }
    >
      <Loaded query={query} rows={6}>
        {({ total, ...report }) => (
          <>
            <dl className="grid grid-cols-2 gap-3 sm:grid-cols-4">
              {([["Cost", money(total.cost_micro_usd)], ["Model calls", count(total.calls)], ["Input tokens", count(total.input_tokens)], ["Output tokens", count(total.output_tokens)]] as const).map(([name, value]) => (
                <div key={name} className="rounded-lg border border-line bg-panel px-4 py-3"><dt className="text-xs text-soft">{name}</dt><dd className="text-lg font-semibold tabular-nums">{value}</dd></div>
              ))}
            </dl>
            {total.calls_without_price > 0 && <p className="text-xs text-soft">{count(total.calls_without_price)} calls have no price that is known, and are not in the cost.{total.calls_without_usage > 0 && ` Of ${count(total.calls_without_usage)} the provider reported no usage.`}</p>}
            <Card
              flush
              title={
                <span className="flex gap-1" role="group" aria-label="Group">
                  {GROUPS.map(([key, name]) => <button key={key} type="button" aria-pressed={key === group} onClick={() => setGroup(key)} className={cx("rounded-md px-2.5 py-1", key === group ? "bg-tint" : "font-normal text-soft hover:text-text")}>{name}</button>)}
                </span>
              }
            >
              {report.group === "day" && <div className="p-4"><Bars report={{ ...report, total }} /></div>}
              {report.items.length === 0
                ? <Empty title="Nothing was used in this time" />
                : (
                  <Table
                    label={`Usage by ${report.group}`} items={report.group === "day" ? report.items.toReversed() : report.items} rowKey={(row) => row.key}
                    columns={[
                      { name: report.group === "day" ? "Day" : report.group === "agent" ? "Agent" : "Model", cell: (row) => <span className="font-medium">{called(row)}</span> },
                      { name: "Calls", end: true, cell: (row) => count(row.calls) },
                      { name: "Input", end: true, wide: true, cell: (row) => count(row.input_tokens) },
                      { name: "Cached", end: true, wide: true, cell: (row) => count(row.cached_input_tokens) },
                      { name: "Output", end: true, wide: true, cell: (row) => count(row.output_tokens) },
                      { name: "Cost", end: true, cell: (row) => money(row.cost_micro_usd) },
                    ]}
                  />
                )}
            </Card>
          </>
        )}
      </Loaded>
    </Page>
  );
}
