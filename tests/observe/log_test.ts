import assert from "node:assert/strict";
import type { TlsFacts } from "../../src/tls/record.ts";
import { makeCa } from "../support/pki.ts";
import type { ConnectionClosed, PgtlsEvent } from "../../src/observe/events.ts";
import { type LogOptions, startLog } from "../../src/observe/log.ts";
import { levelOf } from "../../src/observe/levels.ts";

const pki = makeCa({ name: "clients" });

const FACTS: TlsFacts = {
  serverCert: null,
  clientChain: [pki.issue({ name: "alice", purpose: "client" }).der],
  clientCertError: null,
  tlsVersion: 0x0304,
  cipherSuite: 0x1301,
  alpn: null,
  serverName: null,
  resumed: false,
};

const CLOSED: ConnectionClosed = {
  event: "connection.closed",
  connection: "c-1",
  route: "orders",
  client: "127.0.0.1:5000",
  reason: "client_closed",
  detail: null,
  user: "alice",
  database: "orders",
  backend: "127.0.0.1:5432",
  bytes_from_client: 10,
  bytes_from_backend: 20,
  duration_ms: 1.5,
  client_tls: FACTS,
  backend_tls: null,
};

Deno.test("log in JSON is one object a line, with time, level and event first", () => {
  const [line] = linesOf([CLOSED], { level: "info", format: "json" });
  const parsed = JSON.parse(line!);
  assert.deepEqual(Object.keys(parsed).slice(0, 3), ["time", "level", "event"]);
  assert.equal(parsed.level, "info");
  assert.equal(parsed.event, "connection.closed");
  assert.deepEqual([parsed.client_tls.tls_version, parsed.client_tls.client_cert_name], [772, "CN=alice"]);
  assert.match(parsed.client_tls.client_cert_sha256, /^[0-9a-f]{64}$/);
  assert.equal(parsed.backend_tls, null);
});

Deno.test("log in text is readable and flattens records", () => {
  const [line] = linesOf([CLOSED], { level: "info", format: "text" });
  assert.match(
    line!,
    /^\d\d:\d\d:\d\d\.\d{3} info {2}connection\.closed connection=c-1 route=orders client=127/,
  );
  assert.match(line!, / client_tls\.client_cert_name="CN=alice"/);
  assert.doesNotMatch(line!, /backend_tls/);
});

Deno.test("log keeps text from a client on one line and away from the terminal, in both formats", () => {
  const user = 'a"\n\u001b[31m\u009b1m\u202e\u2028b';
  for (const format of ["json", "text"] as const) {
    const lines = linesOf([{ ...CLOSED, user }], { level: "info", format });
    assert.equal(lines.length, 1);
    // deno-lint-ignore no-control-regex -- controls are what it is about
    assert.doesNotMatch(lines[0]!, /[\u0000-\u001f\u007f-\u009f\u2028\u202e]/);
    assert.ok(lines[0]!.includes(String.raw`a\"\n\u001b[31m\u009b1m\u202e\u2028b`), lines[0]);
  }
  assert.equal(JSON.parse(linesOf([{ ...CLOSED, user }], { level: "info", format: "json" })[0]!).user, user);
});

Deno.test("log cuts text of thousands of characters", () => {
  const [line] = linesOf([{ ...CLOSED, user: "u".repeat(9_000) }], { level: "info", format: "json" });
  assert.ok(line!.length < 1_500, `${line!.length}`);
  assert.match(JSON.parse(line!).user, /^u{512}… \(9000 characters\)$/);
});

Deno.test("log leaves out what is below its level, and does not even compute it", () => {
  const clientChain = {
    get 0(): Uint8Array {
      return assert.fail("computed");
    },
  } as unknown as Uint8Array[];
  const neverRead = { ...CLOSED, client_tls: { ...FACTS, clientChain } };
  assert.deepEqual(linesOf([neverRead], { level: "error", format: "json" }), []);
});

Deno.test("log shows a probe that connects and closes at debug only, and a denial at info", () => {
  assert.equal(levelOf({ ...CLOSED, bytes_from_client: 0 }), "debug");
  assert.equal(levelOf({ ...CLOSED, bytes_from_client: 0, reason: "peer_rejected" }), "info");
  assert.equal(levelOf({ ...CLOSED, reason: "internal_error" }), "error");
  const { connection, route, client } = CLOSED;
  const fields = { connection, route, client, detail: "why" };
  assert.equal(levelOf({ event: "rule.denied", ...fields }), "info");
  assert.equal(levelOf({ event: "app.rejected", ...fields, sqlstate: "28000", message: "no" }), "info");
  assert.equal(levelOf({ event: "app.failed", ...fields }), "error");
  assert.equal(
    levelOf({ event: "app.accepted", ...fields, user: "a", database: "a", backend_route: "r" }),
    "debug",
  );
});

function linesOf(events: readonly PgtlsEvent[], options: LogOptions): string[] {
  const lines: string[] = [];
  const observe = startLog({ ...options, write: (line) => lines.push(line) });
  for (const event of events) observe(event);
  return lines;
}
