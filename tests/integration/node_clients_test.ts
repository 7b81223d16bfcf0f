/** node-postgres and Postgres.js, through pgtls with a client certificate, to a backend over TLS. */
import assert from "node:assert/strict";
import pg from "pg";
import postgres from "postgres";
import { closingLines } from "../support/closing_lines.ts";
import { makeCa } from "../support/pki.ts";
import { startTlsPostgres, type TlsPostgres } from "../support/postgres.ts";
import { startTestProxy, type TestProxy } from "../support/proxy.ts";
import { ca, leaf, routeTo } from "../support/two_legs.ts";

const clientCa = makeCa({ name: "client CA" });
const certificate = clientCa.issue({ name: "alice", purpose: "client" });
/** Longer than 64 KB many times over: TLS records, chunks and high-water marks all come into play. */
const LARGE_TEXT = "pgtls ".repeat(1 << 20);
const BIG_POOL = 20;

Deno.test("node-postgres works through pgtls", async (t) => {
  await using server = await startTlsPostgres({ ca, certificate: leaf });
  await using proxy = await startTestProxy(mutualRoute(server));
  const options = {
    host: "localhost",
    port: proxy.ports[0]!,
    user: "alice",
    database: "demo",
    ssl: tlsOptions(),
  };

  await t.step("queries and large parameters", async () => {
    const client = new pg.Client(options);
    await client.connect();
    const { rows } = await client.query("SELECT length($1::text) AS length, $1::text AS text", [LARGE_TEXT]);
    assert.equal(rows[0].length, LARGE_TEXT.length);
    assert.ok(rows[0].text === LARGE_TEXT, "text came back changed");
    await client.end();
  });
  await t.step("a pool of 20, all busy at once", async () => {
    const pool = new pg.Pool({ ...options, max: BIG_POOL });
    const results = await Promise.all(
      Array.from({ length: 5 * BIG_POOL }, (_, i) => pool.query("SELECT $1::int AS i, pg_sleep(0.01)", [i])),
    );
    assert.deepEqual(results.map(({ rows }) => rows[0].i), results.map((_, i) => i));
    await pool.end();
  });
  await t.step("LISTEN and NOTIFY between sessions", async () => {
    const [listener, notifier] = [new pg.Client(options), new pg.Client(options)];
    await Promise.all([listener.connect(), notifier.connect()]);
    const heard = new Promise((resolve) => listener.once("notification", ({ payload }) => resolve(payload)));
    await listener.query("LISTEN news");
    await notifier.query("NOTIFY news, 'from afar'");
    assert.equal(await heard, "from afar");
    await Promise.all([listener.end(), notifier.end()]);
  });
  await t.step("without its certificate it is refused with 28000", async () => {
    const client = new pg.Client({ ...options, ssl: { ca: ca.certPem } });
    await assert.rejects(client.connect(), { code: "28000", message: "client certificate required" });
  });
  await checkNoFailures(proxy, 1);
});

Deno.test("Postgres.js works through pgtls", async (t) => {
  await using server = await startTlsPostgres({ ca, certificate: leaf });
  await using proxy = await startTestProxy(mutualRoute(server));
  const options = {
    host: "localhost",
    port: proxy.ports[0]!,
    user: "alice",
    database: "demo",
    ssl: tlsOptions(),
  };

  await t.step("queries, large parameters and a pool of 20", async () => {
    const sql = postgres({ ...options, max: BIG_POOL });
    const [row] = await sql`SELECT length(${LARGE_TEXT}::text) AS length, ${LARGE_TEXT}::text AS text`;
    assert.equal(row?.length, LARGE_TEXT.length);
    assert.ok(row?.text === LARGE_TEXT, "text came back changed");
    const results = await Promise.all(
      Array.from({ length: 5 * BIG_POOL }, (_, i) => sql`SELECT ${i}::int AS i, pg_sleep(0.01)`),
    );
    assert.deepEqual(results.map(([first]) => first?.i), results.map((_, i) => i));
    await sql.end();
  });
  await t.step("LISTEN and NOTIFY", async () => {
    const sql = postgres({ ...options, max: 1 });
    const heard = Promise.withResolvers<string>();
    await sql.listen("news", heard.resolve);
    await sql.notify("news", "from afar");
    assert.equal(await heard.promise, "from afar");
    await sql.end();
  });
  await t.step("a cancelled query", async () => {
    const sql = postgres({ ...options, max: 1 });
    const query = sql`SELECT pg_sleep(600)`;
    query.execute();
    await waitForSleep(server);
    query.cancel();
    await assert.rejects(query, { code: "57014" });
    assert.equal((await sql`SELECT 1 AS one`)[0]?.one, 1);
    await sql.end();
  });
  await checkNoFailures(proxy, 0);
});

function mutualRoute(server: TlsPostgres) {
  return routeTo(server.port, "TLS", {
    listener: { mtls: true, client_ca: clientCa.certPem, unsafe_allow_plaintext: false },
  });
}

function tlsOptions() {
  return { ca: ca.certPem, cert: certificate.chainPem, key: certificate.keyPem };
}

async function waitForSleep(server: TlsPostgres): Promise<void> {
  const running =
    "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep(600)%'";
  while ((await server.query(running)).length === 0);
}

/** Every session ended in the ordinary way but for those that were meant to be refused. */
async function checkNoFailures(proxy: TestProxy, refused: number): Promise<void> {
  const lines = await closingLines(proxy);
  const failed = lines.filter(({ reason }) => !ORDINARY_REASONS.has(reason));
  assert.deepEqual(failed.map(({ reason }) => reason), Array(refused).fill("peer_rejected"));
}

const ORDINARY_REASONS = new Set(["client_closed", "backend_closed", "cancel_forwarded"]);
