/**
 * Two pgtls processes behind HAProxy, as docs/scaling.md shows it: clients are spread and keep their address, a cancel
 * works through the other replica, and one replica can be taken away under load without a failed transaction.
 */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { join } from "node:path";
import { SSL_REQUEST } from "../wire/bytes.ts";
import { until } from "../support/closing_lines.ts";
import { type HaProxy, startHaProxy } from "../support/haproxy.ts";
import { PeerStream } from "../support/peer_stream.ts";
import { startPgtls } from "../support/pgtls.ts";
import { makeCa, writeFiles } from "../support/pki.ts";
import { type PostgresServer, startPlainPostgres } from "../support/postgres.ts";
import { run, type RunResult, type TestProcess } from "../support/process.ts";
import { type Balancing, findBalancing } from "../support/programs.ts";
import { psql, startPsql } from "../support/psql.ts";
import { startupMessage, TERMINATE } from "../support/raw_client.ts";

const leaf = makeCa({ name: "CA" }).issue({ name: "localhost", purpose: "server", sans: ["localhost"] });

Deno.test("HAProxy spreads clients over two replicas, and each logs the client's own address", async () => {
  const programs = findBalancing();
  if (programs === null) return;
  await using stage = await startStage(programs);
  // From an address that HAProxy does not connect from, so that the one cannot be taken for the other.
  const clients: PeerStream[] = [];
  for (let i = 0; i < 4; i++) {
    const client = await connectFrom("127.0.0.2", stage.haproxy.port);
    clients.push(client);
    await client.send(SSL_REQUEST);
    // One after the other: HAProxy's threads may choose the same replica for two that come at the same time.
    await client.read(1);
  }
  const expected = clients.map(({ socket }) => `127.0.0.2:${socket.localPort}`);
  for (const client of clients) {
    const secured = await client.startTls();
    await secured.send(startupMessage());
    await secured.readSome();
    await secured.send(TERMINATE);
    await secured.closed();
  }
  await until(() => stage.sessions("a").length + stage.sessions("b").length === 4, "four closing lines");
  assert.equal(stage.sessions("a").length, 2);
  const logged = [...stage.sessions("a"), ...stage.sessions("b")].map(({ client }) => client);
  assert.deepEqual(logged.toSorted(), expected.toSorted());
});

Deno.test("Ctrl-C in psql cancels its query through the other replica", async () => {
  const programs = findBalancing();
  if (programs === null) return;
  await using stage = await startStage(programs);
  await using client = startPsql(stage.connection, { args: ["-c", "SELECT pg_sleep(600)"] });
  await stage.isRunning("pg_sleep(600)");
  // As the balancer would by itself, were it not for its counting: the session's replica gets nobody new.
  const mine = (await stage.openOn("a")) === 1 ? "a" : "b";
  await stage.haproxy.command(`set server pgtls/${mine} state drain`);
  Deno.kill(client.pid, "SIGINT");
  const { stderr } = await client.exited;
  assert.match(stderr, /canceling statement due to user request/);
  const other = mine === "a" ? "b" : "a";
  await until(() => stage.closed(other).some(({ reason }) => reason === "cancel_forwarded"), "the cancel");
  assert.deepEqual(stage.closed(mine).filter(({ reason }) => reason === "cancel_forwarded"), []);
});

for (
  const [name, args] of [
    ["sessions that last", ["-t", "2500"]],
    ["a connection for each transaction", ["-C", "-t", "40"]],
  ] as const
) {
  Deno.test(`a replica drained under pgbench, with ${name}, costs no transaction`, async () => {
    const programs = findBalancing();
    if (programs === null) return;
    await using stage = await startStage(programs);
    const bench = stage.pgbench(args);
    await until(() => stage.openOrDone("a"), "pgbench on the first replica");
    await stage.haproxy.command("set server pgtls/a state drain");
    const stopped = await stage.replicas.a.stop("SIGTERM");
    const { code, stdout, stderr } = await bench;
    assert.equal(code, 0, stderr);
    assert.match(stdout, /number of failed transactions: 0 /);
    assert.match(stdout, /number of transactions actually processed: (\d+)\/\1/);
    assert.equal(stopped.code, 0);
    const [last] = linesOf(stopped).filter(({ event }) => event === "server.stopped");
    assert.equal(last?.connections_cut, 0);
    assert.ok(stage.sessions("a").length > 0 && stage.sessions("b").length > 0);
    // The one that is left serves on.
    assert.equal((await psql(stage.connection, { args: ["-c", "SELECT 1"] })).stdout, "1\n");
  });
}

interface Line {
  readonly event: string;
  readonly client?: string;
  readonly reason?: string;
  readonly user?: string | null;
  readonly connections_cut?: number;
}

interface Stage extends AsyncDisposable {
  readonly haproxy: HaProxy;
  readonly replicas: Readonly<Record<"a" | "b", TestProcess>>;
  /** For psql. */
  readonly connection: string;
  closed(replica: "a" | "b"): Line[];
  /** Closing lines of sessions, without cancels and health checks. */
  sessions(replica: "a" | "b"): Line[];
  /** How many sessions HAProxy has there now. */
  openOn(replica: "a" | "b"): Promise<number>;
  openOrDone(replica: "a" | "b"): Promise<boolean>;
  isRunning(query: string): Promise<void>;
  pgbench(args: readonly string[]): Promise<RunResult>;
}

async function startStage({ haproxy: program, pgbench }: Balancing): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const postgres = stack.use(await startPlainPostgres());
  const dir = await Deno.makeTempDir({ prefix: "pgtls-replicas-" });
  stack.defer(() => Deno.remove(dir, { recursive: true }));
  await writeFiles(dir, { "s.pem": leaf.chainPem, "s.key": leaf.keyPem, "pgtls.toml": configFor(postgres) });
  await Deno.writeTextFile(join(dir, "select.sql"), "SELECT 1;\n");
  const start = () => stack.use(startPgtls("run", "-c", join(dir, "pgtls.toml")));
  const replicas = { a: start(), b: start() };
  const haproxy = stack.use(
    await startHaProxy(program, [await portOf(replicas.a), await portOf(replicas.b)]),
  );
  const closed = (name: "a" | "b") =>
    linesOf(replicas[name].output()).filter(({ event }) => event === "connection.closed");
  const sessions = (name: "a" | "b") => closed(name).filter(({ user }) => user !== null);
  const openOn = async (name: "a" | "b") => {
    const lines = (await haproxy.command("show stat")).split("\n").map((line) => line.split(","));
    const fields = lines.find(([proxy, server]) => proxy === "pgtls" && server === name)!;
    return Number(fields[lines[0]!.indexOf("scur")]);
  };
  const owned = stack.move();
  return {
    haproxy,
    replicas,
    connection: `host=127.0.0.1 port=${haproxy.port} user=alice dbname=demo sslmode=require`,
    closed,
    sessions,
    openOn,
    openOrDone: async (name) => (await openOn(name)) > 0 || sessions(name).length > 0,
    isRunning: (query) =>
      until(async () => {
        const rows = await postgres.query(
          `SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT ${query}'`,
        );
        return rows.length === 1;
      }, query),
    pgbench: (args) =>
      run(pgbench, ["-n", "-f", join(dir, "select.sql"), "-c", "4", ...args, "demo"], {
        clearEnv: true,
        env: {
          HOME: "/nonexistent",
          LC_ALL: "C",
          PGHOST: "127.0.0.1",
          PGPORT: String(haproxy.port),
          PGUSER: "alice",
          PGSSLMODE: "require",
        },
      }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function configFor(postgres: PostgresServer): string {
  return `
drain_timeout = "60s"
workers = 1
[[proxy]]
[proxy.listener]
bind_address = "127.0.0.1:0"
server_cert = "s.pem"
server_key = "s.key"
proxy_protocol_from = ["127.0.0.1/32"]
[proxy.backend]
address = "127.0.0.1:${postgres.port}"
tls_enabled = false
`;
}

async function portOf(replica: TestProcess): Promise<number> {
  const [, port] = await replica.waitFor(/"listener\.bound".*"address":"127\.0\.0\.1:(\d+)"/);
  return Number(port);
}

function linesOf({ stderr }: { readonly stderr: string }): Line[] {
  return stderr.split("\n").slice(0, -1).map((line) => JSON.parse(line));
}

function connectFrom(localAddress: string, port: number): Promise<PeerStream> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, localAddress, allowHalfOpen: true, noDelay: true });
    socket.once("error", reject);
    socket.once("connect", () => resolve(new PeerStream(socket)));
  });
}
