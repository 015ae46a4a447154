// Rows with named columns. On a narrow screen a table scrolls in its own box.

import type { ReactNode } from "react";

import { cx } from "./basics";

export interface Column<T> {
  name: string;
  cell: (item: T) => ReactNode;
  /** To the right, for numbers and buttons. */
  end?: boolean;
  /** Not shown on a phone. */
  wide?: boolean;
  /** The heading is only for those who hear the page. */
  mute?: boolean;
}

export function Table<T>({ label, columns, items, rowKey }: { label: string; columns: Column<T>[]; items: T[]; rowKey: (item: T) => string }) {
  const side = (column: Column<T>) => cx(column.end ? "text-right" : "text-left", column.wide && "hidden sm:table-cell");
  return (
    <div className="relative overflow-x-auto" role="group" aria-label={label} tabIndex={0}>
      <table className="w-full border-collapse text-sm">
        <thead>
          <tr className="border-b border-line text-xs text-soft">
            {columns.map((column) => (
              <th key={column.name} scope="col" className={cx("px-4 py-2 font-medium whitespace-nowrap", side(column))}>
                {column.mute ? <span className="sr-only">{column.name}</span> : column.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody className="divide-y divide-line">
          {items.map((item) => (
            <tr key={rowKey(item)}>
              {columns.map((column) => (
                <td key={column.name} className={cx("h-11 px-4 py-1.5", side(column), column.end && "tabular-nums whitespace-nowrap")}>{column.cell(item)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
