/** Two workers on one port: clients see one proxy, and so do the log, the limits, the admin server, reload and drain. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { ask, askJson } from "../support/admin_client.ts";
import { until } from "../support/closing_lines.ts";
import { admit, serve, startFakeBackend, WELCOME } from "../support/fake_backend.ts";
import { PeerStream } from "../support/peer_stream.ts";
import { makeCa } from "../support/pki.ts";
import { startPlainPostgres, startTlsPostgres } from "../support/postgres.ts";
import { parseExposition } from "../support/prometheus.ts";
import { listenerKeys } from "../support/proxy.ts";
import { startMortalProxy, startProxyProcess } from "../support/proxy_process.ts";
import { psql, startPsql } from "../support/psql.ts";
import { connectRaw, connectRawTls, readError, startupMessage, TERMINATE } from "../support/raw_client.ts";
import { sClient } from "../support/s_client.ts";
import { ca, leaf, routeTo } from "../support/two_legs.ts";

/** So many connections all come to one of two workers less than once in 500,000 runs. */
const MANY = 20;

Deno.test("psql works, and its Ctrl-C reaches the backend through whichever worker the cancel comes to", async () => {
  await using postgres = await startPlainPostgres();
  await using proxy = await startProxyProcess({}, routeTo(postgres.port, "clear"));
  const connection = `host=127.0.0.1 port=${proxy.port("route0")} user=alice dbname=demo sslmode=require`;
  await cancelSixTimes(connection, postgres);
  assert.equal((await psql(connection, { args: ["-c", "SELECT 1"] })).stdout, "1\n");
  const closed = await proxy.waitFor("connection.closed", 13);
  assert.equal(closed.filter(({ reason }) => reason === "cancel_forwarded").length, 6);
  assert.deepEqual(proxy.lines("connection.accepted").length, 13);
});

Deno.test("a cancel finds a session that an app has sent elsewhere, whichever worker it comes to", async () => {
  await using postgres = await startPlainPostgres();
  await using empty = await startFakeBackend((peer) => peer.closed());
  const app = `export default async (scope: any, receive: any, send: any) => {
    if (scope.type !== "postgresql") throw new TypeError("no such scope");
    await receive();
    await send({ type: "postgresql.accept", backend: "lender" });
  };`;
  await using proxy = await startProxyProcess(
    {},
    { name: "asked", app, ...routeTo(empty.port, "clear", { listener: { unsafe_allow_plaintext: false } }) },
    { name: "lender", ...routeTo(postgres.port, "clear") },
  );
  const connection = `host=127.0.0.1 port=${proxy.port("asked")} user=alice dbname=demo sslmode=require`;
  await cancelSixTimes(connection, postgres);
});

Deno.test("a socket file, which cannot be shared, is served by one worker, and by the one that takes its place", async () => {
  await using backend = await startFakeBackend(serve);
  const dir = await Deno.makeTempDir({ prefix: "pgtls-socket-" });
  try {
    const bind_address = `${dir}/.s.PGSQL.6432`;
    await using proxy = await startMortalProxy(
      routeTo(backend.port, "clear", { listener: { bind_address } }),
    );
    const session = async () => {
      const socket = connect({ path: bind_address, allowHalfOpen: true });
      await using client = new PeerStream(socket);
      await client.send(startupMessage());
      assert.deepEqual(await client.read(WELCOME.length), WELCOME);
    };
    for (let i = 0; i < 5; i++) await session();
    await proxy.process.write("0 exit");
    await proxy.waitFor("worker.started");
    await session();
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("max_connections is of all workers together, and exact", async () => {
  await using backend = await startFakeBackend(serve);
  await using proxy = await startProxyProcess(
    {},
    routeTo(backend.port, "clear", { listener: { max_connections: MANY } }),
  );
  const port = proxy.port("route0");
  const all = await Promise.all(Array.from({ length: 2 * MANY }, () => begin(port)));
  await using stack = new AsyncDisposableStack();
  for (const client of all) stack.use(client);
  const answers = await Promise.all(all.map((client) => client.readSome()));
  const admitted = all.filter((_, i) => answers[i]![0] === WELCOME[0]);
  assert.equal(admitted.length, MANY);
  assert.equal(backend.accepted, MANY);
  const refused = await proxy.waitFor("connection.closed", MANY);
  assert.deepEqual(refused.map(({ reason }) => reason), Array(MANY).fill("limit_reached"));
  await admitted[0]!.send(TERMINATE);
  admitted[0]!.end();
  await proxy.waitFor("connection.closed", MANY + 1);
  await using another = await begin(port);
  assert.deepEqual(await another.read(WELCOME.length), WELCOME);
});

Deno.test("the admin server shows the connections of all workers, and their bytes", async () => {
  await using backend = await startFakeBackend(serve);
  await using proxy = await startProxyProcess(
    { admin: { bind_address: "127.0.0.1:0" } },
    routeTo(backend.port, "clear"),
  );
  const [bound] = await proxy.waitFor("admin.bound");
  const adminPort = Number(String(bound!["address"]).split(":").at(-1));
  await using stack = new AsyncDisposableStack();
  for (let i = 0; i < MANY; i++) stack.use(await openSession(proxy.port("route0")));
  await proxy.waitFor("backend.connected", MANY);
  const sums = async () => {
    const families = parseExposition((await ask(adminPort, "/metrics")).text);
    return (name: string) => families.get(name)?.samples.reduce((total, { value }) => total + value, 0);
  };
  const relayed = MANY * (startupMessage().length + WELCOME.length);
  // A scrape does not wait long for a worker that has much to do; the next one makes up for it.
  await until(async () => (await sums())("pgtls_relay_bytes_total")! >= relayed, "all bytes to be counted");
  const sum = await sums();
  assert.equal(sum("pgtls_connections_open"), MANY);
  assert.equal(sum("pgtls_workers"), 2);
  assert.equal(sum("pgtls_relay_bytes_total"), relayed);
  const { open } = await askJson(adminPort, "/connections");
  assert.equal(open.length, MANY);
  assert.ok(open.every((connection: { user: string }) => connection.user === "alice"));
});

Deno.test("what a route is warned of is said once, by whichever worker finds it out, and again once the route is another", async () => {
  await using postgres = await startTlsPostgres({ method: "scram-sha-256" });
  const route = (startup_timeout: string) => ({
    name: "orders",
    listener: { ...listenerKeys(leaf), startup_timeout },
    backend: { address: `127.0.0.1:${postgres.port}`, root_ca: postgres.ca.certPem },
  });
  await using proxy = await startProxyProcess({}, route("9s"));
  const connection = `host=127.0.0.1 port=${proxy.port("orders")} user=alice dbname=demo sslmode=require`;
  const warnings = () =>
    proxy.lines("config.warning").filter(({ problem }) => /binds its login/.test(JSON.stringify(problem)));
  const login = () => psql(connection, { args: ["-c", "SELECT 1"], env: { PGPASSWORD: "secret" } });
  for (let i = 0; i < MANY; i++) {
    assert.match((await login()).stderr, /SCRAM channel binding cannot work here/);
  }
  await proxy.waitFor("connection.closed", MANY);
  assert.equal(warnings().length, 1);
  await proxy.configure(route("8s")).then(proxy.reload);
  for (let i = 0; i < MANY; i++) await login();
  await proxy.waitFor("connection.closed", 2 * MANY);
  assert.equal(warnings().length, 2);
});

Deno.test("a reload is taken by all workers: certificate, client_ca, routes, and the listener that stays", async () => {
  await using backend = await startFakeBackend(async (peer) => {
    await admit(peer);
    await peer.closed();
  });
  const [one, two] = [makeCa({ name: "client CA 1" }), makeCa({ name: "client CA 2" })];
  const [alice, bob] = [one, two].map((issuer) => issuer.issue({ name: "alice", purpose: "client" }));
  const route = (name: string, clientCa: typeof one) => ({
    name,
    listener: listenerKeys(leaf, clientCa),
    backend: { address: `127.0.0.1:${backend.port}`, tls_enabled: false },
  });
  await using proxy = await startProxyProcess({}, route("stays", one), route("goes", one));
  const [port, gone] = [proxy.port("stays"), proxy.port("goes")];
  await using session = await openSession(port, alice);
  const outcome = await proxy.configure(route("stays", two), route("comes", two)).then(proxy.reload);
  assert.deepEqual([outcome["added"], outcome["changed"], outcome["removed"]], [["comes"], ["stays"], [
    "goes",
  ]]);
  assert.deepEqual(proxy.lines("listener.closed").map(({ route }) => route), ["goes"]);
  assert.equal(proxy.lines("listener.bound").length, 3, "one line for each, however many workers there are");
  await assert.rejects(connectRaw(gone), /ECONNREFUSED/);
  const renewed = ca.issue({ name: "renewed", purpose: "server", sans: ["localhost"] });
  await proxy.replace("route0-listener-server_cert.pem", renewed.chainPem);
  await proxy.replace("route0-listener-server_key.pem", renewed.keyPem);
  await proxy.reload();
  for (let i = 0; i < MANY / 2; i++) {
    assert.equal((await sClient(port, { leaf: alice! })).sqlstate, "28000");
    const { ready, stdout } = await sClient(port, { leaf: bob! });
    assert.ok(ready && /^subject=CN = renewed$/m.test(stdout), stdout);
  }
  await using _new = await openSession(proxy.port("comes"), bob);
  assert.equal(session.isClosed, false);
});

Deno.test("a route that cannot be bound is reported once and keeps its place, whatever the workers could share", async () => {
  await using backend = await startFakeBackend(serve);
  await using proxy = await startProxyProcess({}, routeTo(backend.port, "clear"));
  const port = proxy.port("route0");
  // Not even another pgtls with workers may be joined.
  await using other = await startProxyProcess({}, routeTo(backend.port, "clear"));
  const bind_address = `127.0.0.1:${other.port("route0")}`;
  await proxy.configure(routeTo(backend.port, "clear", { listener: { bind_address } }));
  await proxy.reload();
  const failed = proxy.lines("tls.reload_failed");
  assert.equal(failed.length, 1);
  assert.match(String(failed[0]!["detail"]), /Cannot listen on .*already in use/);
  await using session = await openSession(port);
  assert.equal(session.isClosed, false);
});

Deno.test("a drain ends the sessions of all workers, writes every closing line, and exits with 0", async () => {
  await using backend = await startFakeBackend(serve);
  await using proxy = await startProxyProcess({}, routeTo(backend.port, "clear"));
  const sessions: PeerStream[] = [];
  for (let i = 0; i < MANY; i++) sessions.push(await openSession(proxy.port("route0")));
  const stopped = proxy.stop();
  for (const session of sessions) assert.equal((await readError(session)).sqlstate, "57P01");
  const { code, stderr } = await stopped;
  assert.equal(code, 0, stderr);
  const closed = proxy.lines("connection.closed");
  assert.equal(closed.length, MANY);
  assert.ok(closed.every(({ reason }) => reason === "server_draining"));
  const [{ connections }] = proxy.lines("server.draining") as [{ connections: number } & { event: string }];
  const [{ connections_cut }] = proxy.lines("server.stopped") as [
    { connections_cut: number } & { event: string },
  ];
  assert.deepEqual([connections, connections_cut], [MANY, 0]);
});

/** Sends the StartupMessage; the answer is still to come. */
async function begin(port: number, certificate?: typeof leaf): Promise<PeerStream> {
  const client = await connectRawTls(port, certificate && { certificate });
  await client.send(startupMessage());
  return client;
}

async function openSession(port: number, certificate?: typeof leaf): Promise<PeerStream> {
  const client = await begin(port, certificate);
  assert.deepEqual(await client.read(WELCOME.length), WELCOME);
  return client;
}

/** Six queries, each ended by Ctrl-C in its psql: the cancels of all of them come to one worker in 1 of 32 runs. */
async function cancelSixTimes(
  connection: string,
  postgres: Awaited<ReturnType<typeof startPlainPostgres>>,
): Promise<void> {
  for (let i = 0; i < 6; i++) {
    await using busy = startPsql(connection, { args: ["-c", `SELECT ${i}, pg_sleep(60)`] });
    await until(
      async () =>
        (await postgres.query(`SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT ${i}, pg_sleep%'`))
          .length === 1,
      "the query",
    );
    Deno.kill(busy.pid, "SIGINT");
    assert.match((await busy.exited).stderr, /canceling statement due to user request/);
  }
}
