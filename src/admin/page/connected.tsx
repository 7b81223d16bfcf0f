/** The view "Connected now": who, from where, by which certificate, over which TLS, how much, since when. */

import { useState } from "preact/hooks";
import type { ViewProps } from "./app.tsx";
import { Details } from "./details.tsx";
import { formatBytes, formatCount, formatDuration, formatTime } from "./format.ts";
import { LegSummary } from "./leg.tsx";
import type { Row } from "./rows.ts";
import { useRowsView } from "./rows_view.ts";
import { findsRow } from "./search.ts";
import { describeState } from "./state_words.ts";
import { Cell, type Column, More, OpeningRow, type Order, Table } from "./table.tsx";
import { Who } from "./who.tsx";

/** The view. */
export function Connected({ state, now, search }: ViewProps) {
  const [order, setOrder] = useState<Order<Key>>({ key: "since", descending: false });
  const view = useRowsView();
  const found = [...state.open.values()].filter((row) => findsRow(search, row));
  const rows = found.toSorted(comparing(order)).slice(0, view.limit);
  return (
    <section aria-labelledby="connected-title">
      <h2 id="connected-title">Connected now</h2>
      {rows.length === 0
        ? <p class="empty">{state.connectionsAt === null ? "Loading …" : emptyText(state.open.size)}</p>
        : (
          <Table
            name="connections"
            caption={`${formatCount(found.length, "open connection")}${
              search.words.length > 0 ? " found" : ""
            }`}
            columns={COLUMNS}
            order={order}
            onOrder={setOrder}
          >
            {rows.map((row) => (
              <OpeningRow
                key={row.connection}
                id={row.connection}
                summary={<Who row={row} />}
                isOpen={view.isOpen(row.connection)}
                onToggle={() => view.toggle(row.connection)}
                columns={COLUMNS.length}
                details={() => <Details row={row} now={now} />}
              >
                <Cell label="From">
                  <span class="mono">{row.client}</span>
                </Cell>
                <Cell label="Route">
                  <span>{row.route ?? "not chosen yet"}</span>
                  {row.backend !== null && <span class="second mono clip">{row.backend}</span>}
                </Cell>
                <Cell label="TLS of client">
                  <LegSummary leg={row.clientTls} isPending={BEFORE_TLS.has(row.state)} />
                </Cell>
                <Cell label="TLS to backend">
                  <LegSummary
                    leg={row.backendTls}
                    isPending={row.state !== "connected" && row.state !== "opened"}
                  />
                </Cell>
                <Cell label="From client / backend" isNumber>
                  <span>{formatBytes(row.bytesFromClient)} / {formatBytes(row.bytesFromBackend)}</span>
                  <span class="second">{row.rate ? `${formatBytes(row.rate)}/s` : "quiet"}</span>
                </Cell>
                <Cell label="Since" isNumber>
                  <span title={new Date(row.openedAt).toISOString()}>
                    {formatDuration(now - row.openedAt)}
                  </span>
                  <span class="second">
                    {row.state === "opened" ? formatTime(row.openedAt, now) : describeState(row.state)}
                  </span>
                </Cell>
              </OpeningRow>
            ))}
          </Table>
        )}
      <More shown={rows.length} found={found.length} beyond={state.openBeyond} onMore={view.showMore} />
    </section>
  );
}

function emptyText(all: number): string {
  return all === 0 ? "Nobody is connected." : "No open connection matches the search.";
}

type Key = "who" | "from" | "route" | "client_tls" | "backend_tls" | "bytes" | "since";

function comparing({ key, descending }: Order<Key>): (a: Row, b: Row) => number {
  const sign = descending ? -1 : 1;
  return (a, b) => sign * compare(key, a, b) || b.openedAt - a.openedAt;
}

function compare(key: Key, a: Row, b: Row): number {
  switch (key) {
    case "who":
      return order(`${a.user ?? ""}/${a.database ?? ""}`, `${b.user ?? ""}/${b.database ?? ""}`);
    case "from":
      return order(a.client, b.client);
    case "route":
      return order(a.route ?? "", b.route ?? "");
    case "bytes":
      return a.bytesFromClient + a.bytesFromBackend - b.bytesFromClient - b.bytesFromBackend;
    default:
      // The shortest time first: that is the newest connection.
      return b.openedAt - a.openedAt;
  }
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

// Whether it is TLS is not known by then.
const BEFORE_TLS: ReadonlySet<string> = new Set(["accepted", "negotiated", "routed"]);

const COLUMNS: readonly Column<Key>[] = [
  { key: "who", label: "Who", canSort: true },
  { key: "from", label: "From", canSort: true },
  { key: "route", label: "Route", canSort: true },
  { key: "client_tls", label: "TLS of client" },
  { key: "backend_tls", label: "TLS to backend" },
  { key: "bytes", label: "From client / backend", isNumber: true, canSort: true },
  { key: "since", label: "Since", isNumber: true, canSort: true },
];
