/** Connection apps in front of a real PostgreSQL: what they see, what they may change, and what clients are told. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { makeCa, makeSelfSigned, writeFiles } from "../support/pki.ts";
import { startEitherPostgres, startPlainPostgres } from "../support/postgres.ts";
import { isEvent, listenerKeys, startTestProxy, type TestProxy } from "../support/proxy.ts";
import { psql } from "../support/psql.ts";
import { until } from "../support/closing_lines.ts";
import { readPacket, startFakeBackend, WELCOME } from "../support/fake_backend.ts";
import { answerTo, connectRaw, startupMessage } from "../support/raw_client.ts";
import { type PeerStream, textOf } from "../support/peer_stream.ts";
import { sClient } from "../support/s_client.ts";
import { CANCEL_REQUEST } from "../wire/bytes.ts";
import { decodeErrorResponse } from "../../src/wire/error_response.ts";
import { startCountingBackend } from "../support/counting_backend.ts";

const ca = makeCa({ name: "CA" });
const server = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost", "127.0.0.1"] });
const alice = ca.issue({ name: "alice", purpose: "client" });

/** Accepts, and writes everything it sees to a file beside it. */
const WITNESS = `
  const seen = new URL("./seen.json", import.meta.url);
  export default async function app(scope, receive, send) {
    const events = [await receive()];
    await send({ type: "postgresql.accept" });
    events.push(await receive());
    Deno.writeTextFileSync(seen, JSON.stringify({ scope, events }));
  }
`;

Deno.test("an app sees the session as TLS record, names and end, and psql notices nothing", async () => {
  await using tls = await startEitherPostgres({ ca });
  await using proxy = await startTestProxy({
    name: "orders",
    app: WITNESS,
    listener: listenerKeys(server, ca),
    backend: { address: `127.0.0.1:${tls.port}`, root_ca: ca.certPem },
  });
  const { stdout, stderr } = await psql(await connection(proxy), { args: ["-c", "SELECT current_user"] });
  assert.deepEqual([stdout, stderr], ["alice\n", ""]);
  const [closed] = await proxy.closed(1);
  const { scope, events } = await seenBy(proxy);
  const { tls: record } = scope.extensions;
  assert.deepEqual({ ...scope, client: null, server: null, parameters: null, extensions: null }, {
    type: "postgresql",
    pagi: { version: "0.1", spec_version: "0.1" },
    route: "orders",
    connection: closed!.connection,
    client: null,
    server: null,
    server_name: "localhost",
    user: "alice",
    database: "demo",
    parameters: null,
    extensions: null,
  });
  assert.deepEqual([scope.client.join(":"), scope.server], [closed!.client, ["127.0.0.1", proxy.ports[0]]]);
  assert.deepEqual([scope.parameters.user, scope.parameters.application_name], ["alice", "psql"]);
  assert.equal(derOf(record.server_cert), server.der.toBase64());
  assert.deepEqual(record.client_cert_chain.map(derOf), [alice, ca].map(({ der }) => der.toBase64()));
  assert.deepEqual([record.client_cert_name, record.client_cert_error], ["CN=alice", null]);
  assert.equal(record.tls_version, 0x0304);
  assert.ok([0x1301, 0x1302, 0x1303].includes(record.cipher_suite));
  const [connect, { backend_tls, ...end }] = events;
  assert.deepEqual(connect, { type: "postgresql.connect" });
  assert.deepEqual(end, {
    type: "postgresql.disconnect",
    reason: "client_closed",
    bytes_from_client: closed!.bytes_from_client,
    bytes_from_backend: closed!.bytes_from_backend,
    duration_ms: closed!.duration_ms,
  });
  assert.equal(derOf(backend_tls.server_cert), tls.certificate.der.toBase64());
  assert.deepEqual([backend_tls.client_cert_chain, backend_tls.tls_version], [[], 0x0304]);
  assert.deepEqual(proxy.events.filter(isEvent("app.failed")), []);
});

Deno.test("an app behind a plaintext listener sees no extension tls", async () => {
  await using postgres = await startPlainPostgres();
  const backend = { address: `127.0.0.1:${postgres.port}`, tls_enabled: false };
  await using proxy = await startTestProxy({ app: WITNESS, listener: { tls_enabled: false }, backend });
  const target = `host=127.0.0.1 port=${proxy.ports[0]} user=alice dbname=demo sslmode=disable`;
  assert.equal((await psql(target, { args: ["-c", "SELECT 1"] })).stdout, "1\n");
  await proxy.closed(1);
  const { scope, events } = await seenBy(proxy);
  assert.deepEqual([scope.extensions, scope.server_name], [{}, null]);
  assert.equal(events[1].backend_tls, null);
});

Deno.test("an app is told why a certificate was refused that did not end the connection", async () => {
  await using counting = await startCountingBackend();
  const { backend } = counting;
  const listener = { ...listenerKeys(server, ca), mtls: "optional" };
  await using proxy = await startTestProxy({ app: WITNESS, listener, backend });
  const impostor = makeSelfSigned({ name: "alice", purpose: "client" });
  assert.equal((await sClient(proxy.ports[0]!, { leaf: impostor })).ready, true);
  await proxy.closed(1);
  const { tls: record } = (await seenBy(proxy)).scope.extensions;
  assert.deepEqual(record.client_cert_chain.map(derOf), [impostor.der.toBase64()]);
  assert.equal(record.client_cert_name, "CN=alice");
  assert.match(record.client_cert_error, /^Cannot accept certificate "CN=alice": /);
});

Deno.test("an app that refuses is heard by psql in its own words, and nothing is dialled", async () => {
  await using counting = await startCountingBackend();
  const { backend } = counting;
  const app = `
    export default async (scope, receive, send) => {
      await receive();
      await send({ type: "postgresql.reject", message: \`\${scope.user} sleeps\`, sqlstate: "28P01", detail: "night" });
    };
  `;
  await using proxy = await startTestProxy({ app, listener: listenerKeys(server, ca), backend });
  const { code, stderr } = await psql(await connection(proxy), { args: ["-c", "SELECT 1"] });
  assert.equal(code, 2);
  assert.match(stderr, /FATAL: {2}alice sleeps/);
  const [closed] = await proxy.closed(1);
  assert.deepEqual([closed!.reason, closed!.detail, closed!.backend], ["app_rejected", "night", null]);
  const rejected = proxy.events.find(isEvent("app.rejected"));
  assert.deepEqual([rejected!.sqlstate, rejected!.message, rejected!.detail], [
    "28P01",
    "alice sleeps",
    "night",
  ]);
  assert.equal(counting.accepts(), 0, "nothing may be dialled");
});

Deno.test("an app may change the user, and the database stays the one it was asked about", async () => {
  await using postgres = await startPlainPostgres();
  const backend = { address: `127.0.0.1:${postgres.port}`, tls_enabled: false };
  const app = acceptWith('{ user: "bob" }');
  await using proxy = await startTestProxy({ app, listener: listenerKeys(server, ca), backend });
  await postgres.query("CREATE DATABASE alice OWNER alice");
  try {
    const target = (await connection(proxy)).replace(" dbname=demo", "");
    const query = "SELECT current_user, current_database()";
    const { stdout, stderr } = await psql(target, { args: ["-c", query], env: { PGDATABASE: "" } });
    assert.deepEqual([stdout, stderr], ["bob|alice\n", ""]);
    const [closed] = await proxy.closed(1);
    const { user, database, requested_user, requested_database } = closed!;
    assert.deepEqual([user, database, requested_user, requested_database], [
      "bob",
      "alice",
      "alice",
      undefined,
    ]);
  } finally {
    await proxy.drain(0);
    await postgres.query("DROP DATABASE alice WITH (FORCE)");
  }
});

Deno.test("an app may set parameters, whatever the client set them to", async () => {
  await using postgres = await startPlainPostgres();
  const backend = { address: `127.0.0.1:${postgres.port}`, tls_enabled: false };
  const app = acceptWith(
    '{ parameters: { application_name: "from the app", DateStyle: "German", options: null } }',
  );
  await using proxy = await startTestProxy({ app, listener: listenerKeys(server, ca), backend });
  const target = `${await connection(proxy)} application_name=mine options='-c statement_timeout=77'`;
  const query =
    "SELECT current_setting('application_name'), current_setting('DateStyle'), current_setting('statement_timeout')";
  assert.equal((await psql(target, { args: ["-c", query] })).stdout, "from the app|German, DMY|0\n");
});

Deno.test("an app may send the session to the backend of another route, with that route's verification", async () => {
  await using counting = await startCountingBackend();
  const { backend } = counting;
  await using tls = await startEitherPostgres({ ca });
  const secure = { address: `127.0.0.1:${tls.port}`, root_ca: ca.certPem };
  const other = makeCa({ name: "other CA" });
  const listener = listenerKeys(server, ca);
  await using proxy = await startTestProxy(
    { name: "front", app: acceptWith("{ backend: scope.database }"), listener, backend },
    { name: "demo", listener, backend: secure },
    { name: "untrusted", listener, backend: { ...secure, root_ca: other.certPem } },
  );
  const query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
  assert.equal((await psql(await connection(proxy), { args: ["-c", query] })).stdout, "t\n");
  // A session ends with its backend's process, and that may take until after the next client has been refused.
  await proxy.closed(1);
  const untrusted = (await connection(proxy)).replace("dbname=demo", "dbname=untrusted");
  assert.match((await psql(untrusted, { args: ["-c", query] })).stderr, /FATAL: {2}backend is not trusted/);
  const missing = (await connection(proxy)).replace("dbname=demo", "dbname=nowhere");
  assert.match(
    (await psql(missing, { args: ["-c", query] })).stderr,
    /FATAL: {2}connection could not be authorized/,
  );
  const closed = await proxy.closed(3);
  assert.deepEqual(closed.map(({ route, reason }) => [route, reason]), [
    ["front", "client_closed"],
    ["front", "backend_untrusted"],
    ["front", "app_failed"],
  ]);
  assert.equal(proxy.events.find(isEvent("app.accepted"))?.backend_route, "demo");
});

Deno.test("a CancelRequest goes through no app", async () => {
  const app = "export default () => { throw new Error('nobody may'); };";
  await using fake = await startFakeBackend(async (peer) => {
    assert.deepEqual(await readPacket(peer), CANCEL_REQUEST);
    peer.end();
  });
  await using proxy = await startTestProxy({
    app,
    listener: { tls_enabled: false },
    backend: { address: `127.0.0.1:${fake.port}`, tls_enabled: false },
  });
  assert.equal((await answerTo(proxy.ports[0]!, CANCEL_REQUEST)).length, 0);
  assert.deepEqual((await proxy.closed(1)).map(({ reason }) => reason), ["cancel_forwarded"]);
  const { sqlstate } = decodeErrorResponse(await answerTo(proxy.ports[0]!, startupMessage()));
  assert.equal(sqlstate, "28000", "the app is there, and asked about sessions");
});

Deno.test("a CancelRequest reaches the backend that an app has sent a session of its route to", async () => {
  const heard: Record<string, string[]> = { own: [], lent: [] };
  const script = (name: string) => async (peer: PeerStream) => {
    const packet = await readPacket(peer);
    const isCancel = textOf(packet) === textOf(CANCEL_REQUEST);
    heard[name]!.push(isCancel ? "cancel" : "session");
    if (isCancel) return peer.end();
    await peer.send(WELCOME);
    await peer.closed();
  };
  await using own = await startFakeBackend(script("own"));
  await using lent = await startFakeBackend(script("lent"));
  const listener = { tls_enabled: false };
  await using proxy = await startTestProxy(
    {
      app: acceptWith('{ backend: "lender" }'),
      listener,
      backend: { address: `127.0.0.1:${own.port}`, tls_enabled: false },
    },
    { name: "lender", listener, backend: { address: `127.0.0.1:${lent.port}`, tls_enabled: false } },
  );
  const [front, lender] = proxy.ports as [number, number];
  await answerTo(front, CANCEL_REQUEST);
  assert.deepEqual(heard, { own: ["cancel"], lent: [] }, "nothing has been lent yet");

  await using client = await connectRaw(front);
  await client.send(startupMessage());
  await client.read(WELCOME.length);
  await answerTo(front, CANCEL_REQUEST);
  assert.deepEqual(heard, { own: ["cancel", "cancel"], lent: ["session", "cancel"] });
  await answerTo(lender, CANCEL_REQUEST);
  assert.deepEqual(heard["own"], ["cancel", "cancel"], "the lender's own go nowhere else");
  client.end();
  await client.readAll();
  const closed = await proxy.closed(4);
  assert.deepEqual(closed[1]!.backend, `127.0.0.1:${own.port}, 127.0.0.1:${lent.port}`);
});

Deno.test("a name that PostgreSQL would read as another one is refused before an app is asked", async () => {
  await using counting = await startCountingBackend();
  const { backend } = counting;
  await using proxy = await startTestProxy({
    app: acceptWith("{}"),
    listener: { tls_enabled: false },
    backend,
  });
  const target = (user: string, database: string) =>
    psql(`host=127.0.0.1 port=${proxy.ports[0]} user=${user} dbname=${database} sslmode=disable`, {
      args: ["-c", "SELECT 1"],
    });
  const long = "x".repeat(64);
  for (const [user, database] of [[long, "demo"], ["alice", long]] as const) {
    assert.match(
      (await target(user, database)).stderr,
      /FATAL: {2}connection is not permitted by the rules of this route/,
    );
  }
  const closed = await proxy.closed(2);
  assert.deepEqual(closed.map(({ reason }) => reason), ["rule_denied", "rule_denied"]);
  assert.match(closed[0]!.detail!, /a user name of 64 bytes: PostgreSQL cuts it after 63/);
  assert.equal(counting.accepts(), 0, "nothing may be dialled");
});

function acceptWith(fields: string): string {
  return `export default async (scope, receive, send) => {
    await send({ type: "postgresql.accept", ...${fields} });
  };`;
}

async function connection(proxy: TestProxy): Promise<string> {
  const files = { "ca.crt": ca.certPem, "alice.crt": alice.chainPem, "alice.key": alice.keyPem };
  const paths = await writeFiles(proxy.dir, files);
  return `host=localhost hostaddr=127.0.0.1 port=${
    proxy.ports[0]
  } user=alice dbname=demo sslmode=verify-full ` +
    `sslrootcert=${paths["ca.crt"]} sslcert=${paths["alice.crt"]} sslkey=${paths["alice.key"]}`;
}

// deno-lint-ignore no-explicit-any -- what came out of JSON
async function seenBy(proxy: TestProxy): Promise<any> {
  const file = join(proxy.dir, "seen.json");
  await until(
    () => Deno.stat(file).then(({ size }) => size > 0, () => false),
    "the app to write down what it saw",
  );
  return JSON.parse(await readFile(file, "utf8"));
}

/** PEM to base64 of the DER. */
function derOf(pem: string): string {
  return pem.replace(/-----[A-Z ]+-----|\n/g, "");
}
