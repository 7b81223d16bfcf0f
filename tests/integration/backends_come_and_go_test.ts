/** A backend that is restarted, killed, silent or flapping: who is connected is told, who comes later is served. */
import assert from "node:assert/strict";
import { freePort } from "../../src/demo/ports.ts";
import { closingLines, until } from "../support/closing_lines.ts";
import { type FakeBackend, serve, startFakeBackend } from "../support/fake_backend.ts";
import { type PgtlsProcess, startPgtlsProcess } from "../support/pgtls_process.ts";
import { type PostgresServer, startPlainPostgres } from "../support/postgres.ts";
import { startTestProxy } from "../support/proxy.ts";
import { psql, startPsql } from "../support/psql.ts";
import { connectRawTls, startupMessage } from "../support/raw_client.ts";
import { startSilentListener } from "../support/silent_listener.ts";
import { routeTo } from "../support/two_legs.ts";

Deno.test("a restarted backend ends its sessions in its own words, and serves again", async () => {
  await using server = await startPlainPostgres();
  await using pgtls = await startPgtlsProcess([routeTo(server.port, "clear")]);
  await query(pgtls);
  const before = pgtls.openFiles();
  await using sleeping = await startSleeping(pgtls, server);
  await server.restart();
  assert.match(
    (await sleeping.exited).stderr,
    /FATAL: {2}terminating connection due to administrator command/,
  );
  await query(pgtls);
  await pgtls.backTo(before);
});

Deno.test("a backend process killed in the middle of a query is a lost connection, not a hanging one", async () => {
  await using server = await startPlainPostgres();
  await using pgtls = await startPgtlsProcess([routeTo(server.port, "clear")]);
  await query(pgtls);
  const before = pgtls.openFiles();
  await using sleeping = await startSleeping(pgtls, server);
  const [row] = await server.query("SELECT pid FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'");
  Deno.kill(Number(row!["pid"]), "SIGKILL");
  const { code, stderr } = await sleeping.exited;
  assert.equal(code, 2);
  assert.match(stderr, /FATAL: {2}connection to the backend was lost/);
  // The postmaster ends everybody else and starts anew.
  await until(async () => (await tryQuery(pgtls)).stdout === "1\n", "a session");
  await pgtls.backTo(before);
  const lost = pgtls.lines().find(({ reason }) => reason === "backend_lost");
  assert.ok(lost !== undefined);
});

Deno.test("a backend that does not answer any more costs its own clients connect_timeout, and others nothing", async () => {
  await using silent = await startSilentListener();
  await using server = await startPlainPostgres();
  await using proxy = await startTestProxy(
    routeTo(silent.port, "clear", { backend: { connect_timeout: "3s" } }),
    routeTo(server.port, "clear"),
  );
  const waiting = Array.from({ length: 20 }, () => run(proxy.ports[0]!));
  assert.equal((await run(proxy.ports[1]!)).stdout, "1\n");
  for (const { stderr } of await Promise.all(waiting)) {
    assert.match(stderr, /FATAL: {2}backend did not answer in time/);
  }
  const lines = await closingLines(proxy);
  assert.equal(lines.filter(({ reason }) => reason === "backend_timeout").length, 20);
});

Deno.test("a flapping backend: every client is served or told, at once, and nothing is left open", async () => {
  const port = freePort();
  await using pgtls = await startPgtlsProcess([routeTo(port, "clear")]);
  const outcomes: string[] = [];
  const before = pgtls.openFiles();
  for (let i = 0; i < 6; i++) {
    const backend: FakeBackend | null = i % 2 === 0 ? null : await startFakeBackend(serve, port);
    const clients = Array.from({ length: 20 }, async () => {
      await using client = await connectRawTls(pgtls.ports[0]!);
      await client.send(startupMessage());
      const answer = String.fromCharCode((await client.read(1))[0]!);
      outcomes.push(answer);
      // Half of them are in a session when the backend goes.
      if (outcomes.length % 2 === 0) await client.closed();
    });
    await until(() => outcomes.length === 20 * (i + 1), "an answer for each");
    await backend?.[Symbol.asyncDispose]();
    await Promise.all(clients);
  }
  const letters = outcomes.join("");
  assert.match(letters, /^(E{20}R{20}){3}$/);
  await pgtls.backTo(before);
  assert.deepEqual(pgtls.lines().filter(({ reason }) => reason === "internal_error"), []);
});

async function startSleeping(pgtls: PgtlsProcess, server: PostgresServer) {
  const session = startPsql(conninfo(pgtls.ports[0]!), { args: ["-c", "SELECT pg_sleep(600)"] });
  const running = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(600)'";
  await until(async () => (await server.query(running)).length === 1, "pg_sleep to run");
  return session;
}

async function query(pgtls: PgtlsProcess): Promise<void> {
  const { stdout, stderr } = await tryQuery(pgtls);
  assert.equal(stdout, "1\n", stderr);
}

function tryQuery(pgtls: PgtlsProcess) {
  return run(pgtls.ports[0]!);
}

function run(port: number) {
  return psql(conninfo(port), { args: ["-c", "SELECT 1"] });
}

function conninfo(port: number): string {
  return `host=127.0.0.1 port=${port} user=alice dbname=demo sslmode=require`;
}
