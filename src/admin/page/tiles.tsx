/** The four tiles: what matters at a glance, and the way to each view. */

import type { ViewProps } from "./app.tsx";
import { isOurs, spanOf } from "./certificates.tsx";
import { formatBytes, formatDuration, formatNumber } from "./format.ts";
import { describeReason } from "./reason_words.ts";
import { findsCertificate, findsEntry, findsRow } from "./search.ts";
import { isTrouble } from "./summary.ts";
import { describeValidity, validityOf } from "./validity.ts";

/** The views, as the address names them. */
export const VIEWS = ["connected", "ended", "certificates", "events"] as const;
/** One of the views. */
export type View = typeof VIEWS[number];

/** What one tile says. */
interface Tile {
  readonly title: string;
  readonly figure: string;
  readonly note: string;
  readonly tone: "plain" | "good" | "warn" | "bad";
}

/** The navigation. */
export function Tiles({ view, ...props }: ViewProps & { view: View }) {
  const tiles: Record<View, Tile> = {
    connected: connectedTile(props),
    ended: endedTile(props),
    certificates: certificatesTile(props),
    events: eventsTile(props),
  };
  return (
    <nav aria-label="Views" class="tiles">
      <ul>
        {VIEWS.map((name) => {
          const { title, figure, note, tone } = tiles[name];
          return (
            <li key={name}>
              <a href={`#${name}`} class={`tile ${tone}`} aria-current={name === view ? "page" : undefined}>
                <span class="tile-title">{title}</span>
                <span class="tile-figure">{figure}</span>
                <span class="tile-note">{note}</span>
              </a>
            </li>
          );
        })}
      </ul>
    </nav>
  );
}

function connectedTile({ state, search }: ViewProps): Tile {
  const rows = [...state.open.values()];
  const found = rows.filter((row) => findsRow(search, row)).length;
  const rate = rows.reduce((sum, row) => sum + (row.rate ?? 0), 0);
  const pending = rows.filter((row) => row.state !== "opened").length;
  const notes = [`${formatBytes(rate)}/s`, ...(pending > 0 ? [`${formatNumber(pending)} logging in`] : [])];
  return {
    title: "Connected now",
    figure: state.connectionsAt === null ? "–" : ofAll(search.words, found, rows.length + state.openBeyond),
    note: state.connectionsAt === null ? "loading" : notes.join(" · "),
    tone: "plain",
  };
}

function endedTile({ state, now, search }: ViewProps): Tile {
  const troubles = [...state.closed.values()].filter(isTrouble);
  const found = troubles.filter((row) => findsRow(search, row)).length;
  const latest = troubles.at(-1);
  const note = latest === undefined
    ? "none in memory"
    : `${describeReason(latest.reason ?? "").title}, ${formatDuration(now - (latest.closedAt ?? now))} ago`;
  return {
    title: "Refused and failed",
    figure: state.connectionsAt === null ? "–" : ofAll(search.words, found, troubles.length),
    note: state.connectionsAt === null ? "loading" : note,
    tone: latest !== undefined && now - (latest.closedAt ?? 0) < RECENT_MS ? "warn" : "plain",
  };
}

function certificatesTile({ state, now, search }: ViewProps): Tile {
  const title = "Certificates";
  const { certificates } = state;
  if (certificates === null) return { title, figure: "–", note: "loading", tone: "plain" };
  const found = certificates.filter((certificate) => findsCertificate(search, certificate)).length;
  const spans = certificates.filter(isOurs).map(spanOf).toSorted((a, b) => a.notAfter - b.notAfter);
  const ended = spans.filter((span) => validityOf(span, now) === "ended").length;
  const first = spans.find((span) => validityOf(span, now) !== "ended");
  const next = first && describeValidity(first, now);
  const note = [ended > 0 ? `${ended} ended` : "", next ? `next: ${next}` : ""].filter((part) => part !== "");
  const isSoon = first !== undefined && validityOf(first, now) === "soon";
  return {
    title,
    figure: ofAll(search.words, found, certificates.length),
    note: note.join(" · ") || "none",
    tone: ended > 0 ? "bad" : isSoon ? "warn" : "plain",
  };
}

function eventsTile({ state, search }: ViewProps): Tile {
  const found = state.feed.filter((entry) => findsEntry(search, entry)).length;
  const notes = { connecting: "connecting", live: "live", asleep: "asleep", lost: "feed lost" };
  return {
    title: "Events",
    figure: search.words.length === 0
      ? formatNumber(state.events)
      : ofAll(search.words, found, state.feed.length),
    note: `${notes[state.link.kind]} · since this page opened`,
    tone: state.link.kind === "lost" ? "bad" : "plain",
  };
}

function ofAll(words: readonly string[], found: number, all: number): string {
  return words.length === 0 ? formatNumber(all) : `${formatNumber(found)} of ${formatNumber(all)}`;
}

const RECENT_MS = 5 * 60 * 1000;
