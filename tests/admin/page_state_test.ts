import assert from "node:assert/strict";
import fc from "fast-check";
import type { ConnectionsJson, EventJson } from "../../src/admin/page/shapes.ts";
import { type Action, EMPTY, LIMITS, type PageState, reduce } from "../../src/admin/page/state.ts";
import { connectionJson, refusedJson, tlsJson } from "../support/fake_admin.ts";

Deno.test("reduce follows a connection from its first event to its last", () => {
  let state = reduce(EMPTY, [event("connection.accepted", { client: "203.0.113.9:1", route: null })]);
  assert.deepEqual([...state.open.keys()], ["c-1"]);
  assert.equal(state.open.get("c-1")?.state, "accepted");
  state = reduce(state, [
    event("negotiation.completed", { transport: "requested_tls" }),
    event("handshake.completed", { route: "orders", tls: tlsJson({ client_cert_name: "CN=alice" }) }),
    event("startup.received", { user: "alice", database: "orders", application_name: "psql" }),
    event("app.accepted", { user: "alice_ro", database: "orders", backend_route: "orders" }),
    event("backend.connected", { backend: "db:5432", tls: null }),
  ]);
  const row = state.open.get("c-1")!;
  assert.equal(row.state, "connected");
  assert.equal(row.client, "203.0.113.9:1");
  assert.equal(row.route, "orders");
  assert.equal(row.clientTls?.certName, "CN=alice");
  assert.deepEqual([row.user, row.database, row.applicationName], ["alice_ro", "orders", "psql"]);
  assert.equal(row.backendTls, null);
  state = reduce(state, [closing("c-1")]);
  assert.equal(state.open.size, 0);
  assert.equal(state.closed.get("c-1")?.reason, "client_closed");
  assert.equal(state.closed.get("c-1")?.applicationName, "psql", "what only earlier events told is kept");
});

Deno.test("reduce keeps which check a certificate failed, through the snapshot that does not know it", () => {
  const rejected = event("peer.rejected", { code: "expired", detail: "it has expired" });
  const state = reduce(EMPTY, [
    event("connection.accepted"),
    rejected,
    closing("c-1", { reason: "peer_rejected" }),
    snapshot({ closed: [refusedJson({ connection: "c-1" })] }),
  ]);
  assert.equal(state.closed.get("c-1")?.code, "expired");
});

Deno.test("a snapshot and the events that came while it was on its way do not contradict each other", () => {
  // c-1 is open in the snapshot but has closed since; c-2 came since; c-3 is closed in both.
  const since = [
    closingEvent("c-1"),
    eventOf("connection.accepted", { connection: "c-2" }),
    eventOf("connection.accepted", { connection: "c-3" }),
    closingEvent("c-3"),
  ];
  const state = reduce(EMPTY, [
    snapshot({
      open: [connectionJson({ connection: "c-1" })],
      closed: [refusedJson({ connection: "c-3" })],
    }, { since }),
  ]);
  assert.deepEqual([...state.open.keys()], ["c-2"]);
  assert.deepEqual([...state.closed.keys()].sort(), ["c-1", "c-3"]);
  assert.equal(state.events, 0, "the feed has had them already");
});

Deno.test("whatever a snapshot overlaps with, the end is the same as that of the server", () => {
  fc.assert(fc.property(fc.array(fc.nat({ max: 5 }), { maxLength: 30 }), fc.nat(), fc.nat(), (ids, a, b) => {
    const server = new Map<string, boolean>();
    const events: EventJson[] = [];
    const states: ConnectionsJson[] = [serverState(server)];
    for (const id of ids) {
      const connection = `c-${id}`;
      if (server.get(connection) === undefined) {
        server.set(connection, true);
        events.push(eventOf("connection.accepted", { connection }));
      } else if (server.get(connection)) {
        server.set(connection, false);
        events.push(closingEvent(connection));
      }
      if (states.length <= events.length) states.push(serverState(server));
    }
    // Asked after the first `asked` events, made after the first `made`, arrived after all of them.
    const [asked, made] = [a % (events.length + 1), b % (events.length + 1)].toSorted((x, y) => x - y);
    const state = reduce(EMPTY, [
      ...events.map((each): Action => ({ kind: "event", event: each })),
      { kind: "connections", at: 1, snapshot: states[made!]!, since: events.slice(asked) },
    ]);
    const openAtServer = [...server].filter(([, isOpen]) => isOpen).map(([id]) => id);
    assert.deepEqual([...state.open.keys()].sort(), openAtServer.sort());
  }));
});

Deno.test("a snapshot of bytes alone keeps what is known of TLS, and tells the rate", () => {
  const { client_tls: _c, backend_tls: _b, ...light } = connectionJson({ bytes_from_client: 3_234 });
  const state = reduce(EMPTY, [
    snapshot({ open: [connectionJson({ bytes_from_client: 1_234 })] }, { at: 1_000 }),
    snapshot({ open: [light] }, { at: 3_000 }),
  ]);
  const [row] = state.open.values();
  assert.equal(row?.clientTls?.certName, "CN=alice");
  assert.equal(row?.rate, 1_000);
});

Deno.test("reduce keeps no more than its limits, and counts the rest", () => {
  const accepted = Array.from({ length: LIMITS.open + 7 }, (_, i): Action => {
    return event("connection.accepted", { connection: `c-${i}` });
  });
  let state = reduce(EMPTY, accepted);
  assert.equal(state.open.size, LIMITS.open);
  assert.equal(state.openBeyond, 7);
  assert.equal(state.feed.length, LIMITS.feed);
  assert.equal(state.events, LIMITS.open + 7);
  state = reduce(state, accepted.map((_, i) => closing(`c-${i}`)));
  assert.equal(state.open.size, 0);
  assert.equal(state.openBeyond, 0);
  assert.equal(state.closed.size, LIMITS.closed);
  assert.equal(state.closedBeyond, LIMITS.open + 7 - LIMITS.closed);
  assert.ok(state.closed.has(`c-${LIMITS.open + 6}`), "the latest stay");
});

Deno.test("a server with more connections than the page keeps says how many there are", () => {
  const state = reduce(EMPTY, [
    snapshot({ open: [connectionJson()], open_count: 9_000 }),
  ]);
  assert.equal(state.openBeyond, 8_999);
});

Deno.test("health checks that connect and close push nobody out", () => {
  const state = reduce(EMPTY, [event("connection.accepted"), closing("c-1", { level: "debug" })]);
  assert.deepEqual([state.open.size, state.closed.size, state.events], [0, 0, 2]);
});

Deno.test("clients turned away before they were connections are remembered, not all of them", () => {
  const refused = event("connection.refused", {
    connection: undefined,
    route: "orders",
    count: 3,
    detail: "full",
  });
  const state = reduce(EMPTY, Array.from({ length: 50 }, () => refused));
  assert.equal(state.turnedAway.length, LIMITS.turnedAway);
  assert.equal(state.turnedAway[0]?.count, 3);
});

Deno.test("what could not be loaded is forgotten once it could", () => {
  const failed = reduce(EMPTY, [{ kind: "failed", endpoint: "certificates", detail: "pgtls answered 500" }]);
  assert.deepEqual(failed.failures, { certificates: "pgtls answered 500" });
  assert.deepEqual(reduce(failed, [{ kind: "certificates", certificates: [] }]).failures, {});
});

Deno.test("reduce does not change the state it is given", () => {
  const before: PageState = reduce(EMPTY, [event("connection.accepted")]);
  const copy = structuredClone(before);
  reduce(before, [closing("c-1"), event("connection.accepted", { connection: "c-2" })]);
  assert.deepEqual(before, copy);
});

Deno.test("an event with fields of another shape is taken for what it is worth", () => {
  fc.assert(
    fc.property(fc.constantFrom(...NAMES), fc.dictionary(fc.constantFrom(...FIELDS), fc.jsonValue()), (
      name,
      fields,
    ) => {
      const state = reduce(EMPTY, [
        event("connection.accepted"),
        event(name, { ...fields, connection: "c-1" }),
      ]);
      assert.equal(state.open.size + state.closed.size, 1);
    }),
  );
});

function event(name: string, fields: Record<string, unknown> = {}): Action {
  return { kind: "event", event: eventOf(name, fields) };
}

function eventOf(name: string, fields: Record<string, unknown> = {}): EventJson {
  const time = "2026-01-01T00:00:00.000Z";
  return { time, level: "info", event: name, connection: "c-1", ...fields };
}

function closing(connection: string, fields: Record<string, unknown> = {}): Action {
  return { kind: "event", event: closingEvent(connection, fields) };
}

function closingEvent(connection: string, fields: Record<string, unknown> = {}): EventJson {
  return eventOf("connection.closed", {
    connection,
    reason: "client_closed",
    detail: null,
    user: "alice",
    database: "orders",
    backend: "db:5432",
    bytes_from_client: 1,
    bytes_from_backend: 2,
    duration_ms: 3,
    client_tls: tlsJson(),
    backend_tls: null,
    ...fields,
  });
}

function snapshot(
  json: Partial<ConnectionsJson>,
  { at = 1, since = [] }: { at?: number; since?: EventJson[] } = {},
): Action {
  const { open = [], closed = [] } = json;
  const counted = { open, closed, open_count: open.length, closed_count: closed.length, ...json };
  return { kind: "connections", at, snapshot: counted, since };
}

function serverState(server: ReadonlyMap<string, boolean>): ConnectionsJson {
  const ids = (wanted: boolean) => [...server].filter(([, isOpen]) => isOpen === wanted).map(([id]) => id);
  const open = ids(true).map((connection) => connectionJson({ connection })).reverse();
  const closed = ids(false).map((connection) => refusedJson({ connection })).reverse();
  return { open, closed, open_count: open.length, closed_count: closed.length };
}

const NAMES = [
  "handshake.completed",
  "startup.received",
  "peer.rejected",
  "backend.connected",
  "route.chosen",
];
const FIELDS = [
  "route",
  "client",
  "tls",
  "user",
  "database",
  "application_name",
  "code",
  "backend",
  "server_name",
];
