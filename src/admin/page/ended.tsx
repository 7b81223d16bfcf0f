/** The view "Refused and failed": who did not get in or was cut off, why, and what to do. */

import { useState } from "preact/hooks";
import type { ViewProps } from "./app.tsx";
import { Details } from "./details.tsx";
import { formatCount, formatDuration, formatTime } from "./format.ts";
import { describeReason } from "./reason_words.ts";
import { useRowsView } from "./rows_view.ts";
import { findsRow } from "./search.ts";
import { isTrouble, toneOf } from "./summary.ts";
import { Cell, type Column, More, OpeningRow, Table } from "./table.tsx";
import { Who } from "./who.tsx";

/** The view. */
export function Ended({ state, now, search }: ViewProps) {
  const [showsAll, setShowsAll] = useState(false);
  const view = useRowsView();
  const found = [...state.closed.values()].reverse()
    .filter((row) => (showsAll || isTrouble(row)) && findsRow(search, row));
  const rows = found.slice(0, view.limit);
  return (
    <section aria-labelledby="ended-title">
      <div class="section-head">
        <h2 id="ended-title">{showsAll ? "All that ended" : "Refused and failed"}</h2>
        <label class="check">
          <input
            type="checkbox"
            checked={showsAll}
            onChange={({ currentTarget }) => setShowsAll(currentTarget.checked)}
          />{" "}
          Also those that ended as they should
        </label>
      </div>
      {state.turnedAway.toReversed().map(({ at, route, count, detail }) => (
        <p class="banner warn" key={at}>
          <strong>{formatCount(count, "client")} of {route} turned away at {formatTime(at, now)}:</strong>
          {" "}
          {detail}
        </p>
      ))}
      {rows.length === 0
        ? <p class="empty">{emptyText(state.connectionsAt, search.words, showsAll)}</p>
        : (
          <Table
            name="ended"
            caption={`${formatCount(found.length, "connection")}, latest first`}
            columns={COLUMNS}
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
                tone={toneOf(row)}
              >
                <Cell label="Why">
                  <span class="reason">
                    <span class={`dot ${toneOf(row)}`} aria-hidden="true" />
                    {describeReason(row.reason ?? "").title}
                  </span>
                  {row.detail !== null && <span class="second detail">{row.detail}</span>}
                </Cell>
                <Cell label="From">
                  <span class="mono">{row.client}</span>
                </Cell>
                <Cell label="Route">
                  <span>{row.route ?? "none chosen"}</span>
                </Cell>
                <Cell label="Ended" isNumber>
                  <span>{formatTime(row.closedAt ?? NaN, now)}</span>
                  <span class="second">after {formatDuration(row.durationMs ?? 0)}</span>
                </Cell>
              </OpeningRow>
            ))}
          </Table>
        )}
      <More shown={rows.length} found={found.length} beyond={0} onMore={view.showMore} />
      {state.closedBeyond > 0 && (
        <p class="muted">
          Only the last {state.closed.size} are kept; {state.closedBeyond} older ones are in the log.
        </p>
      )}
    </section>
  );
}

function emptyText(at: number | null, words: readonly string[], showsAll: boolean): string {
  if (at === null) return "Loading …";
  if (words.length > 0) return "Nothing matches the search.";
  return showsAll ? "No connection has ended yet." : "Nobody was refused, and nothing failed.";
}

const COLUMNS: readonly Column[] = [
  { key: "who", label: "Who" },
  { key: "why", label: "Why" },
  { key: "from", label: "From" },
  { key: "route", label: "Route" },
  { key: "ended", label: "Ended", isNumber: true },
];
