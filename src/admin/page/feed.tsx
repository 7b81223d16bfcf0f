/** The view "Events": what happens, as it happens, newest first. */

import { useState } from "preact/hooks";
import type { ViewProps } from "./app.tsx";
import { describeEvent } from "./event_words.ts";
import { formatCount, formatTime } from "./format.ts";
import { useRowsView } from "./rows_view.ts";
import { findsEntry } from "./search.ts";
import type { FeedEntry } from "./state.ts";
import { Cell, type Column, More, Table } from "./table.tsx";

/** The view. */
export function Feed({ state, now, search, onSearch }: ViewProps) {
  const [least, setLeast] = useState<Level>("debug");
  const view = useRowsView();
  const found = state.feed.toReversed().filter((entry) => isLoud(entry, least) && findsEntry(search, entry));
  const rows = found.slice(0, view.limit);
  const forgotten = state.events - state.feed.length;
  return (
    <section aria-labelledby="events-title">
      <div class="section-head">
        <h2 id="events-title">Events</h2>
        <label class="check">
          Show{" "}
          <select value={least} onChange={({ currentTarget }) => setLeast(currentTarget.value as Level)}>
            <option value="debug">every step</option>
            <option value="info">what the log shows (info and louder)</option>
            <option value="warn">warnings and errors</option>
          </select>
        </label>
      </div>
      {rows.length === 0 ? <p class="empty">{emptyText(state.feed.length)}</p> : (
        <Table
          name="feed"
          caption={`${formatCount(found.length, "event")}, newest first`}
          columns={COLUMNS}
        >
          {rows.map(({ id, at, event }) => (
            <tr role="row" key={id} class={event.level}>
              <Cell label="Time">
                <span class="mono">{formatTime(at, now)}</span>
              </Cell>
              <Cell label="Level">
                <span class={`badge ${event.level}`}>{event.level}</span>
              </Cell>
              <Cell label="Event">
                <span class="mono">{event.event}</span>
              </Cell>
              <Cell label="Connection">
                {event.connection !== undefined && (
                  <button
                    type="button"
                    class="follow mono"
                    title="Search for this connection"
                    onClick={() => onSearch(event.connection!)}
                  >
                    {event.connection}
                  </button>
                )}
              </Cell>
              <Cell label="Route">
                <span>{event.route ?? ""}</span>
              </Cell>
              <Cell label="What">
                <span class="what">{describeEvent(event)}</span>
              </Cell>
            </tr>
          ))}
        </Table>
      )}
      <More shown={rows.length} found={found.length} beyond={0} onMore={view.showMore} />
      {forgotten > 0 && <p class="muted">{formatCount(forgotten, "older event")} are no longer kept here.</p>}
    </section>
  );
}

type Level = "debug" | "info" | "warn";

function isLoud({ event }: FeedEntry, least: Level): boolean {
  return least === "debug" || LEVELS.indexOf(event.level) >= LEVELS.indexOf(least);
}

function emptyText(all: number): string {
  return all === 0 ? "Nothing has happened since this page was opened." : "No event matches.";
}

const LEVELS = ["trace", "debug", "info", "warn", "error"];

const COLUMNS: readonly Column[] = [
  { key: "time", label: "Time" },
  { key: "level", label: "Level" },
  { key: "event", label: "Event" },
  { key: "connection", label: "Connection" },
  { key: "route", label: "Route" },
  { key: "what", label: "What" },
];
