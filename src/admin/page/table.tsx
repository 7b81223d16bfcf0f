/**
 * Tables that become lists of cards on a narrow screen.
 *
 * Roles are written out because browsers drop a table's own when its boxes are laid out as anything but a table.
 */

import type { ComponentChildren } from "preact";
import { formatNumber } from "./format.ts";

/** One column. */
export interface Column<Key extends string = string> {
  readonly key: Key;
  readonly label: string;
  readonly isNumber?: boolean;
  readonly canSort?: boolean;
}

/** How a table is sorted. */
export interface Order<Key extends string = string> {
  readonly key: Key;
  readonly descending: boolean;
}

/** What a table is made of. */
export interface TableProps<Key extends string> {
  readonly caption: string;
  readonly name: string;
  readonly columns: readonly Column<Key>[];
  readonly order?: Order<Key>;
  readonly onOrder?: (order: Order<Key>) => void;
  readonly children: ComponentChildren;
}

/** A table with a caption and headers that sort. */
export function Table<Key extends string>(
  { caption, name, columns, order, onOrder, children }: TableProps<Key>,
) {
  return (
    <table role="table" class={name}>
      <caption>{caption}</caption>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map((column) => {
            const { key, label, isNumber, canSort } = column;
            const isOrder = order?.key === key;
            const direction = order?.descending ? "descending" : "ascending";
            const next = { key, descending: isOrder ? !order.descending : isNumber === true };
            return (
              <th
                role="columnheader"
                scope="col"
                key={key}
                class={isNumber ? "number" : undefined}
                aria-sort={isOrder ? direction : undefined}
              >
                {canSort ? <button type="button" onClick={() => onOrder?.(next)}>{label}</button> : label}
              </th>
            );
          })}
        </tr>
      </thead>
      <tbody role="rowgroup">{children}</tbody>
    </table>
  );
}

/** A cell; `label` is its column's header, shown where columns are not. */
export function Cell({ label, isNumber, children }: {
  readonly label: string;
  readonly isNumber?: boolean;
  readonly children: ComponentChildren;
}) {
  return <td role="cell" data-label={label} class={isNumber ? "number" : undefined}>{children}</td>;
}

/** A row that opens to a second one with everything about it. */
export function OpeningRow({ id, summary, isOpen, onToggle, columns, details, tone, children }: {
  readonly id: string;
  /** What the button that opens it says. */
  readonly summary: ComponentChildren;
  readonly isOpen: boolean;
  readonly onToggle: () => void;
  /** How many columns the table has. */
  readonly columns: number;
  readonly details: () => ComponentChildren;
  readonly tone?: string | undefined;
  /** The other cells. */
  readonly children: ComponentChildren;
}) {
  const panel = `details-${id}`;
  return (
    <>
      <tr role="row" class={["opening", tone, isOpen ? "is-open" : ""].filter((name) => name).join(" ")}>
        <th role="rowheader" scope="row">
          <button
            type="button"
            class="opener"
            aria-expanded={isOpen}
            aria-controls={isOpen ? panel : undefined}
            onClick={onToggle}
          >
            {summary}
          </button>
        </th>
        {children}
      </tr>
      {isOpen && (
        <tr role="row" class="details" id={panel}>
          <td role="cell" colSpan={columns}>{details()}</td>
        </tr>
      )}
    </>
  );
}

/** How many rows are not shown, and the button that shows more of them. */
export function More({ shown, found, beyond, onMore }: {
  readonly shown: number;
  readonly found: number;
  /** Rows the page does not have at all. */
  readonly beyond: number;
  readonly onMore: () => void;
}) {
  const hidden = found - shown;
  return (
    <div class="more">
      {hidden > 0 && (
        <>
          <span>
            Showing {formatNumber(shown)} of {formatNumber(found)}; {formatNumber(hidden)}{" "}
            more are hidden. Search to narrow them down.
          </span>{" "}
          <button type="button" onClick={onMore}>Show {Math.min(hidden, PAGE_ROWS)} more</button>
        </>
      )}
      {beyond > 0 && <p>{formatNumber(beyond)} more are beyond what this page keeps.</p>}
    </div>
  );
}

/** How many rows a table shows at first, and more at a time. */
export const PAGE_ROWS = 100;
