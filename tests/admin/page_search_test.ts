import assert from "node:assert/strict";
import { backOffMs, pauseMs } from "../../src/admin/page/live.ts";
import { type Row, rowOf } from "../../src/admin/page/rows.ts";
import { findsCertificate, findsEntry, findsRow, searchFor } from "../../src/admin/page/search.ts";
import { EMPTY, type PageState, reduce } from "../../src/admin/page/state.ts";
import { announce, spokenOf } from "../../src/admin/page/summary.ts";
import { certificateJson, connectionJson, refusedJson } from "../support/fake_admin.ts";

Deno.test("a search finds rows by whatever is known of them, every word of it", () => {
  const row = rowOf(refusedJson({ connection: "c-9f", route: "billing", client: "198.51.100.7:4711" }));
  for (
    const typed of ["", "  ", "BILLING", "198.51", "cn=alice", "peer_rejected", "certificate refused", "c-9f"]
  ) {
    assert.ok(findsRow(searchFor(typed), row), typed);
  }
  assert.ok(findsRow(searchFor("alice expired billing"), row));
  for (const typed of ["bob", "alice orders", "4711c-9f"]) assert.ok(!findsRow(searchFor(typed), row), typed);
});

Deno.test("a search finds certificates and events", () => {
  const certificate = certificateJson(3, { sans: ["db1.example.com"] });
  assert.ok(findsCertificate(searchFor("db1 server.pem listener"), certificate));
  assert.ok(!findsCertificate(searchFor("client_ca"), certificate));
  const event = { time: "", level: "info", event: "startup.received", user: "alice", database: "orders" };
  assert.ok(findsEntry(searchFor("login alice"), { id: 1, at: 0, event }));
  assert.ok(!findsEntry(searchFor("bob"), { id: 1, at: 0, event }));
});

Deno.test("announce speaks of new trouble, readiness and the feed, not of comings and goings", () => {
  const live = withClosed({ ...EMPTY, link: { kind: "live" } }, []);
  const quiet = withClosed(live, [rowOf(connectionJson({ connection: "c-1", reason: "client_closed" }))]);
  assert.equal(announce(spokenOf(live), spokenOf(quiet)), null);
  const refused = withClosed(quiet, [rowOf(refusedJson({ user: "bob", database: "demo" }))]);
  assert.equal(
    announce(spokenOf(quiet), spokenOf(refused)),
    "1 connection refused or failed. Latest: bob on demo: Client certificate refused.",
  );
  assert.equal(announce(spokenOf(refused), spokenOf(refused)), null);
  const lost = { ...refused, link: { kind: "lost", since: 0, retryAt: 0 } as const };
  assert.match(announce(spokenOf(refused), spokenOf(lost)) ?? "", /lost/);
  assert.match(announce(spokenOf(lost), spokenOf(refused)) ?? "", /again/);
  const unready = reduce(live, [{ kind: "readiness", readiness: { ready: false, reasons: [] } }]);
  const ready = reduce(live, [{ kind: "readiness", readiness: { ready: true, reasons: [] } }]);
  assert.equal(announce(spokenOf(ready), spokenOf(unready)), "pgtls is not ready.");
  assert.equal(announce(spokenOf(live), spokenOf(unready)), null, "the first answer is not news");
});

Deno.test("backOffMs doubles from a second to half a minute, never all pages at once", () => {
  assert.deepEqual([1, 2, 3, 5, 6, 100].map((n) => backOffMs(n, 0)), [
    1_000,
    2_000,
    4_000,
    16_000,
    30_000,
    30_000,
  ]);
  assert.equal(backOffMs(1, 1), 750);
});

Deno.test("pauseMs leaves pgtls 20 times as long in peace as an answer took it", () => {
  assert.equal(pauseMs(1), 2_000);
  assert.equal(pauseMs(200), 4_000);
  assert.equal(pauseMs(10_000), 60_000);
});

function withClosed(state: PageState, rows: readonly Row[]): PageState {
  return {
    ...state,
    closed: new Map([...state.closed, ...rows.map((row) => [row.connection, row] as const)]),
  };
}
