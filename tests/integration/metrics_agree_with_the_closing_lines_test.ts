/** What /metrics and /connections say of real sessions: they move with the traffic, and end where the log ends. */
import assert from "node:assert/strict";
import { ask, askJson, openSocket } from "../support/admin_client.ts";
import { closingLines, until } from "../support/closing_lines.ts";
import { listenerKeys, startAdminProxy, type TestProxy } from "../support/proxy.ts";
import { parseExposition, valueOf } from "../support/prometheus.ts";
import { makeCa, writeFiles } from "../support/pki.ts";
import { startTlsPostgres } from "../support/postgres.ts";
import { psql, startPsql } from "../support/psql.ts";
import { connectRawTls, startupMessage } from "../support/raw_client.ts";

const ca = makeCa({ name: "CA" });
const server = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost"] });
const alice = ca.issue({ name: "alice", purpose: "client" });
const ROUTE = { route: "route0" };

Deno.test("counters move with traffic, and agree with the closing lines in the end", async () => {
  await using postgres = await startTlsPostgres();
  await using proxy = await startAdminProxy({}, routeTo(postgres));
  const connection = connectionTo(proxy);
  for (let i = 0; i < 3; i++) assert.equal((await psql(connection, { args: ["-c", "SELECT 1"] })).code, 0);
  await proxy.closed(3);

  await using session = startPsql(connection, { args: ["-c", "SELECT 1", "-f", "-"] });
  await session.write("SELECT repeat('x', 100000);\n");
  await session.waitFor(/x{1000}/);
  const before = await scrape(proxy);
  await session.write("SELECT repeat('y', 100000);\n");
  await session.waitFor(/y{1000}/);
  const after = await scrape(proxy);
  assert.equal(valueOf(after, "pgtls_connections_open", ROUTE), 1);
  const [then, now] = [before, after].map((families) => bytes(families, "from_backend"));
  assert.ok(now! - then! >= 100_000, `${then} and then ${now} bytes, in the middle of a session`);
  await session.closeInput();
  await session.exited;

  const lines = await closingLines(proxy);
  const end = await scrape(proxy);
  assert.equal(bytes(end, "from_client"), sum(lines.map((line) => line.bytes_from_client)));
  assert.equal(bytes(end, "from_backend"), sum(lines.map((line) => line.bytes_from_backend)));
  assert.equal(valueOf(end, "pgtls_connections_total", ROUTE), lines.length);
  const closed = { ...ROUTE, reason: "client_closed" };
  assert.equal(valueOf(end, "pgtls_connections_closed_total", closed), lines.length);
  assert.equal(valueOf(end, "pgtls_connections_open", ROUTE), 0);
  assert.equal(valueOf(end, "pgtls_handshake_seconds_count", ROUTE), lines.length);
  assert.equal(valueOf(end, "pgtls_backend_connect_seconds_count", ROUTE), lines.length);
  const handshakes = end.get("pgtls_handshakes_total")!.samples;
  assert.equal(sum(handshakes.map(({ value }) => value)), lines.length);
});

Deno.test("/connections shows an open session with both TLS records and its bytes, then its end", async () => {
  await using postgres = await startTlsPostgres();
  await using proxy = await startAdminProxy({}, routeTo(postgres));
  await using session = startPsql(connectionTo(proxy), { args: ["-f", "-"] });
  await session.write("SELECT repeat('z', 5000);\n");
  await session.waitFor(/z{1000}/);
  const { open: [open], closed: none } = await askJson(proxy.adminPort, "/connections");
  assert.deepEqual(none, []);
  assert.deepEqual([open.state, open.route, open.user, open.database, open.application_name], [
    "opened",
    "route0",
    "alice",
    "demo",
    "psql",
  ]);
  assert.ok(open.bytes_from_backend > 5_000);
  assert.ok(open.duration_ms > 0);
  assert.equal(open.closed_at, null);
  assert.deepEqual(Object.keys(open.client_tls).sort(), RECORD_KEYS);
  assert.deepEqual(Object.keys(open.backend_tls).sort(), RECORD_KEYS);
  assert.equal(open.client_tls.server_cert.trim(), server.certPem.trim());
  assert.equal(open.client_tls.server_name, "localhost");
  assert.equal(open.backend_tls.server_cert.trim(), postgres.certificate.certPem.trim());

  await session.closeInput();
  await session.exited;
  const [line] = await closingLines(proxy);
  const { open: still, closed: [closed] } = await askJson(proxy.adminPort, "/connections?tls=summary");
  assert.deepEqual(still, []);
  assert.equal(closed.connection, line!.connection);
  assert.deepEqual(
    [closed.state, closed.reason, closed.bytes_from_client, closed.bytes_from_backend, closed.duration_ms],
    ["closed", line!.reason, line!.bytes_from_client, line!.bytes_from_backend, line!.duration_ms],
  );
  assert.match(closed.client_tls.server_cert_sha256, /^[0-9a-f]{64}$/);
  assert.ok(!("server_cert" in closed.client_tls));
});

Deno.test("/connections and /events show why a client was refused, newest first, its text escaped", async () => {
  await using proxy = await startAdminProxy({}, {
    listener: listenerKeys(server, ca),
    backend: { address: "127.0.0.1:1", tls_enabled: false },
  });
  using feed = openSocket(proxy.adminPort, "/events?level=info");
  assert.equal(await feed.opened, 101);
  const connection = `${connectionTo(proxy)} application_name='<b>\u2028\u202e'`;
  await psql(connection);
  await proxy.closed(1);
  await using files = await aliceFiles();
  const [cert, key] = [`sslcert=${files.cert}`, `sslkey=${files.key}`];
  await psql(`${connection} ${cert} ${key}`);
  await closingLines(proxy);
  const { text } = await ask(proxy.adminPort, "/connections");
  assert.doesNotMatch(text, /[\u2028\u202e]/);
  const { closed } = JSON.parse(text);
  const [unreachable, refused] = closed;
  assert.equal(refused.reason, "peer_rejected");
  assert.equal(refused.rejection, "no_certificate");
  assert.equal(unreachable.rejection, null);
  assert.match(refused.detail, /presented no certificate/);
  assert.equal(unreachable.reason, "backend_unreachable");
  assert.equal(unreachable.application_name, "<b>\u2028\u202e");
  assert.equal(unreachable.client_tls.client_cert_name, "CN=alice");
  assert.equal(unreachable.client_tls.client_cert_chain.length, 1);

  await until(() => feed.messages.length >= 4, "the events");
  const events = feed.messages.map((message) => JSON.parse(message));
  assert.deepEqual(events.map(({ event }) => event), [
    "peer.rejected",
    "connection.closed",
    "backend.failed",
    "connection.closed",
  ]);
  assert.equal(events[1].connection, refused.connection);
  assert.ok(events.every(({ time, level }) => Date.parse(time) > 0 && ["info", "warn"].includes(level)));
});

Deno.test("/connections gives as many as are asked for, and says what it does not understand", async () => {
  await using proxy = await startAdminProxy({}, {
    listener: listenerKeys(server),
    backend: { address: "127.0.0.1:1", tls_enabled: false },
  });
  for (let i = 0; i < 3; i++) await refusedSession(proxy.ports[0]!);
  const lines = await closingLines(proxy);
  const { closed, ...counts } = await askJson(proxy.adminPort, "/connections?closed=2&open=0&tls=none");
  assert.deepEqual(counts, { open_count: 0, closed_count: 3, open: [] });
  assert.ok(!("client_tls" in closed[0]) && !("backend_tls" in closed[0]));
  assert.deepEqual(
    closed.map(({ connection }: { connection: string }) => connection),
    lines.map(({ connection }) => connection).toReversed().slice(0, 2),
  );
  for (const query of ["closed=x", "open=-1", "closed=1e9", "tls=pem"]) {
    const { status, text } = await ask(proxy.adminPort, `/connections?${query}`);
    assert.equal(status, 400);
    assert.match(JSON.parse(text).error, /expected open=NUMBER/);
  }
});

Deno.test("paths and methods that are none get 404, 405 with Allow, or 426", async () => {
  await using proxy = await startAdminProxy({}, {
    listener: listenerKeys(server),
    backend: { address: "127.0.0.1:1", tls_enabled: false },
  });
  const port = proxy.adminPort;
  assert.equal((await ask(port, "/nothing")).status, 404);
  assert.equal((await ask(port, "/metrics/")).status, 404);
  assert.equal((await ask(port, "/%6Detrics")).status, 200);
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"]) {
    const { status, headers } = await ask(port, "/metrics", { method });
    assert.deepEqual([status, headers.allow], [405, "GET, HEAD"]);
  }
  const head = await ask(port, "/livez", { method: "HEAD" });
  assert.deepEqual([head.status, head.text, head.headers["content-length"]], [200, "", "14"]);
  assert.equal((await ask(port, "/events")).status, 426);
  using nowhere = openSocket(port, "/metrics");
  assert.equal(await nowhere.opened, 403);
  using unknown = openSocket(port, "/nowhere");
  assert.equal(await unknown.opened, 404);
  using unlevel = openSocket(port, "/events?level=loud");
  assert.equal(await unlevel.closed, 1008);
  const answer = await ask(port, "/metrics");
  for (const [name, value] of Object.entries(EXPECTED_HEADERS)) {
    assert.match(String(answer.headers[name]), value);
  }
});

function routeTo(postgres: { readonly port: number; readonly ca: { readonly certPem: string } }) {
  return {
    listener: listenerKeys(server),
    backend: { address: `127.0.0.1:${postgres.port}`, root_ca: postgres.ca.certPem },
  };
}

function connectionTo(proxy: TestProxy): string {
  return `host=localhost hostaddr=127.0.0.1 port=${proxy.ports[0]} user=alice dbname=demo sslmode=require`;
}

async function scrape(proxy: TestProxy) {
  return parseExposition((await ask(proxy.adminPort, "/metrics")).text);
}

function bytes(families: Awaited<ReturnType<typeof scrape>>, direction: string): number {
  return valueOf(families, "pgtls_relay_bytes_total", { ...ROUTE, direction });
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

/** A session that gets as far as a backend that is not there. */
async function refusedSession(port: number): Promise<void> {
  await using client = await connectRawTls(port);
  await client.send(startupMessage());
  await client.readAll();
}

async function aliceFiles(): Promise<AsyncDisposable & { readonly cert: string; readonly key: string }> {
  const dir = await Deno.makeTempDir({ prefix: "pgtls-alice-" });
  const files = await writeFiles(dir, { "alice.pem": alice.chainPem, "alice.key": alice.keyPem });
  return {
    cert: files["alice.pem"],
    key: files["alice.key"],
    [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }),
  };
}

const RECORD_KEYS = [
  "alpn",
  "cipher_suite",
  "client_cert_chain",
  "client_cert_error",
  "client_cert_name",
  "resumed",
  "server_cert",
  "server_name",
  "tls_version",
];

const EXPECTED_HEADERS: Readonly<Record<string, RegExp>> = {
  "cache-control": /^no-store$/,
  "content-security-policy": /default-src 'none'.*frame-ancestors 'none'/,
  "content-type": /^text\/plain; version=0\.0\.4; charset=utf-8$/,
  "cross-origin-resource-policy": /^same-origin$/,
  "x-content-type-options": /^nosniff$/,
};
