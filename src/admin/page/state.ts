/**
 * What the page knows, and how every answer and event changes it: pure, without clock or network.
 *
 * Everything is bounded. What does not fit is counted, so that the page can say how much it does not show.
 */

import { type Row, rowAfter, rowOf } from "./rows.ts";
import type { CertificateJson, ConnectionsJson, EventJson, ReadinessJson } from "./shapes.ts";

/** How the page is connected to pgtls. Times are milliseconds since 1970. */
export type Link =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  /** Closed on purpose while nobody looks at the page. */
  | { readonly kind: "asleep" }
  | { readonly kind: "lost"; readonly since: number; readonly retryAt: number };

/** One line of the event feed. */
export interface FeedEntry {
  /** Counts up from 1: the key of its line. */
  readonly id: number;
  readonly at: number;
  readonly event: EventJson;
}

/** Clients turned away before they became connections. */
export interface TurnedAway {
  readonly at: number;
  readonly route: string;
  readonly count: number;
  readonly detail: string;
}

/** Everything the page knows. */
export interface PageState {
  readonly link: Link;
  /** By connection ID, oldest first. */
  readonly open: ReadonlyMap<string, Row>;
  /** Open connections that are not in `open`. */
  readonly openBeyond: number;
  /** By connection ID, oldest first. */
  readonly closed: ReadonlyMap<string, Row>;
  /** Closed connections the page has forgotten. */
  readonly closedBeyond: number;
  readonly turnedAway: readonly TurnedAway[];
  /** Oldest first. */
  readonly feed: readonly FeedEntry[];
  /** Events ever seen; `feed` holds the last of them. */
  readonly events: number;
  /** When the last snapshot of connections arrived; `null` before the first. */
  readonly connectionsAt: number | null;
  readonly certificates: readonly CertificateJson[] | null;
  readonly readiness: ReadinessJson | null;
  /** What could not be loaded, by endpoint, and why. */
  readonly failures: Readonly<Partial<Record<Endpoint, string>>>;
}

/** Endpoints the page reads. */
export type Endpoint = "connections" | "certificates" | "readyz";

/** Something that changes what the page knows. */
export type Action =
  | { readonly kind: "link"; readonly link: Link }
  | { readonly kind: "event"; readonly event: EventJson }
  /** `since`: the events that came while the snapshot was on its way, in order. */
  | {
    readonly kind: "connections";
    readonly at: number;
    readonly snapshot: ConnectionsJson;
    readonly since: readonly EventJson[];
  }
  | { readonly kind: "certificates"; readonly certificates: readonly CertificateJson[] }
  | { readonly kind: "readiness"; readonly readiness: ReadinessJson }
  | { readonly kind: "failed"; readonly endpoint: Endpoint; readonly detail: string };

/** How much is kept. */
export const LIMITS = { open: 5_000, closed: 1_000, feed: 1_000, turnedAway: 20 } as const;

/** What is known before anything is. */
export const EMPTY: PageState = {
  link: { kind: "connecting" },
  open: new Map(),
  openBeyond: 0,
  closed: new Map(),
  closedBeyond: 0,
  turnedAway: [],
  feed: [],
  events: 0,
  connectionsAt: null,
  certificates: null,
  readiness: null,
  failures: {},
};

/** The state after `actions`, in order. Takes many at once: tables are copied once, not for every action. */
export function reduce(state: PageState, actions: readonly Action[]): PageState {
  const draft: Draft = {
    ...state,
    open: new Map(state.open),
    closed: new Map(state.closed),
    turnedAway: [...state.turnedAway],
    feed: [...state.feed],
  };
  for (const action of actions) apply(draft, action);
  const { closed, feed, turnedAway } = draft;
  draft.closedBeyond += trim(closed, LIMITS.closed);
  draft.feed = feed.slice(-LIMITS.feed);
  draft.turnedAway = turnedAway.slice(-LIMITS.turnedAway);
  return draft;
}

type Draft = {
  -readonly [Key in keyof PageState]: PageState[Key] extends ReadonlyMap<infer K, infer V> ? Map<K, V>
    : PageState[Key] extends readonly (infer Item)[] ? Item[]
    : PageState[Key];
};

function apply(draft: Draft, action: Action): void {
  switch (action.kind) {
    case "link":
      draft.link = action.link;
      return;
    case "event":
      addToFeed(draft, action.event);
      applyEvent(draft, action.event);
      return;
    case "connections":
      applySnapshot(draft, action.snapshot, action.at);
      for (const event of action.since) applyEvent(draft, event);
      return succeeded(draft, "connections");
    case "certificates":
      draft.certificates = action.certificates;
      return succeeded(draft, "certificates");
    case "readiness":
      draft.readiness = action.readiness;
      return succeeded(draft, "readyz");
    case "failed":
      draft.failures = { ...draft.failures, [action.endpoint]: action.detail };
  }
}

function succeeded(draft: Draft, endpoint: Endpoint): void {
  const { [endpoint]: _, ...others } = draft.failures;
  draft.failures = others;
}

function addToFeed(draft: Draft, event: EventJson): void {
  draft.events++;
  draft.feed.push({ id: draft.events, at: Date.parse(event.time), event });
  // Twice the limit, so that not every event copies the whole list.
  if (draft.feed.length > 2 * LIMITS.feed) draft.feed = draft.feed.slice(-LIMITS.feed);
}

/** Idempotent, so that an event which a snapshot already contains does no harm. */
function applyEvent(draft: Draft, event: EventJson): void {
  if (event.event === "connection.refused") return turnAway(draft, event);
  const id = event.connection;
  if (id === undefined || draft.closed.has(id)) return;
  const known = draft.open.get(id);
  const row = rowAfter(known, event);
  if (row === null) return;
  if (event.event === "connection.closed") {
    if (!draft.open.delete(id) && draft.openBeyond > 0) draft.openBeyond--;
    // Health checks that connect and close would push everybody else out; the server does not remember them, either.
    if (event.level === "debug") return;
    draft.closed.set(id, row);
    if (draft.closed.size > 2 * LIMITS.closed) draft.closedBeyond += trim(draft.closed, LIMITS.closed);
  } else if (known !== undefined || draft.open.size < LIMITS.open) {
    draft.open.set(id, row);
  } else if (event.event === "connection.accepted") {
    draft.openBeyond++;
  }
}

function turnAway(draft: Draft, event: EventJson): void {
  draft.turnedAway.push({
    at: Date.parse(event.time),
    route: String(event.route ?? ""),
    count: Number(event.count ?? 1),
    detail: String(event.detail ?? ""),
  });
}

function applySnapshot(draft: Draft, snapshot: ConnectionsJson, at: number): void {
  const { open, closed, open_count } = snapshot;
  const before = draft.open;
  const elapsedMs = draft.connectionsAt === null ? null : at - draft.connectionsAt;
  draft.open = new Map();
  for (const json of open.slice(0, LIMITS.open).reverse()) {
    // The end of a connection may have overtaken a snapshot in which it is open.
    if (draft.closed.has(json.connection)) continue;
    const known = before.get(json.connection);
    const row = rowOf(json, known);
    draft.open.set(row.connection, { ...row, rate: rateOf(row, known, elapsedMs) });
  }
  draft.openBeyond = Math.max(0, open_count - Math.min(open.length, LIMITS.open));
  // The page's own memory may reach further back than the server's; what both know, the server knows better.
  for (const json of closed.slice(0, LIMITS.closed).reverse()) {
    const known = draft.closed.get(json.connection) ?? before.get(json.connection);
    draft.closed.set(json.connection, rowOf(json, known));
  }
  draft.closed = new Map([...draft.closed].sort(([, a], [, b]) => (a.closedAt ?? 0) - (b.closedAt ?? 0)));
  draft.connectionsAt = at;
}

function rateOf(row: Row, known: Row | undefined, elapsedMs: number | null): number | null {
  if (known === undefined || elapsedMs === null || elapsedMs <= 0) return null;
  const bytes = row.bytesFromClient + row.bytesFromBackend - known.bytesFromClient - known.bytesFromBackend;
  return Math.max(0, bytes / (elapsedMs / 1000));
}

/** Drops the oldest entries beyond `limit` and tells how many. */
function trim(rows: Map<string, Row>, limit: number): number {
  const excess = Math.max(0, rows.size - limit);
  let left = excess;
  for (const id of rows.keys()) {
    if (left-- === 0) break;
    rows.delete(id);
  }
  return excess;
}
