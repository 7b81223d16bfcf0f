import assert from "node:assert/strict";
import pg from "pg";
import { serverAccount } from "../../src/demo/account.ts";
import { startPostgres } from "../../src/demo/postgres.ts";
import { makeCa } from "../support/pki.ts";
import {
  startEitherPostgres,
  startMutualTlsPostgres,
  startPlainPostgres,
  startTlsPostgres,
} from "../support/postgres.ts";
import { psql, psql18 } from "../support/psql.ts";

Deno.test("startPostgres() runs a server that is never root", async () => {
  await using server = await startPlainPostgres();
  const status = await Deno.readTextFile(`/proc/${server.pid}/status`).catch(() => null);
  const account = await serverAccount();
  // Not Linux: PostgreSQL itself has refused to start as root, or we would not be here.
  if (status !== null) {
    const uid = Number(status.match(/^Uid:\s+(\d+)/m)?.[1]);
    assert.equal(uid, account?.uid ?? Deno.uid());
    assert.notEqual(uid, 0);
  }
  const [row] = await server.query("SELECT current_setting('server_version_num')::int AS version");
  assert.ok(Number(row?.version) >= 150_000);
});

Deno.test("stop() ends a server that still has sessions, and may be called twice", async () => {
  const server = await startPlainPostgres();
  const session = new pg.Client({ host: server.host, port: server.port, user: "alice", database: "demo" });
  const lost = new Promise<Error>((resolve) => session.on("error", resolve));
  const ended = new Promise<void>((resolve) => session.on("end", resolve));
  await session.connect();
  await Promise.all([server.stop(), server.stop()]);
  assert.match((await lost).message, /terminating connection/);
  await assert.rejects(Deno.stat(server.dir), Deno.errors.NotFound);
  await ended;
});

Deno.test("startPostgres() fails when a statement of initSql does", async () => {
  await assert.rejects(startPostgres({ hba: [], initSql: ["nonsense"] }), /syntax error/);
});

Deno.test("startPostgres() says so when the given port is taken", async () => {
  await using server = await startPlainPostgres();
  await assert.rejects(startPostgres({ hba: [], port: server.port }), /Address already in use/);
});

Deno.test("restart() keeps port and data and ends the old process", async () => {
  await using server = await startPlainPostgres();
  const { pid, port } = server;
  await server.query("CREATE TABLE kept (n int)", "demo");
  await server.restart();
  assert.notEqual(server.pid, pid);
  assert.equal(server.port, port);
  assert.deepEqual(await server.query("SELECT count(*)::int AS n FROM kept", "demo"), [{ n: 0 }]);
});

Deno.test("startTlsPostgres() is verified by its CA and refuses plaintext", async () => {
  await using server = await startTlsPostgres();
  const connection = { host: "localhost", port: server.port, user: "alice", database: "demo" };
  const client = new pg.Client({ ...connection, ssl: { ca: server.ca.certPem } });
  await client.connect();
  const { rows } = await client.query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
  await client.end();
  assert.deepEqual(rows, [{ ssl: true }]);

  const wrong = new pg.Client({ ...connection, ssl: { ca: makeCa({ name: "another CA" }).certPem } });
  await assert.rejects(wrong.connect(), /certificate/i);

  const plain = await psql(`host=127.0.0.1 port=${server.port} user=alice dbname=demo sslmode=disable`);
  assert.match(plain.stderr, /no pg_hba.conf entry.*no encryption/);
});

Deno.test("startEitherPostgres() takes plaintext and TLS", async () => {
  await using server = await startEitherPostgres();
  for (const [sslmode, expected] of [["disable", "f"], ["require", "t"]]) {
    const result = await psql(
      `host=127.0.0.1 port=${server.port} user=alice dbname=demo sslmode=${sslmode}`,
      {
        args: ["-c", "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"],
      },
    );
    assert.equal(result.stdout.trim(), expected, result.stderr);
  }
});

Deno.test("startMutualTlsPostgres() lets in any role with its client certificate, nobody without", async () => {
  await using server = await startMutualTlsPostgres();
  const connect = async (user: string, ssl: Record<string, string>) => {
    const connection = { host: "localhost", port: server.port, user, database: "demo" };
    const client = new pg.Client({ ...connection, ssl: { ca: server.ca.certPem, ...ssl } });
    await client.connect();
    const { rows } = await client.query("SELECT client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    await client.end();
    return rows;
  };
  const own = { cert: server.client.certPem, key: server.client.keyPem };
  assert.deepEqual(await connect("alice", own), [{ client_dn: "/CN=pgtls" }]);
  assert.deepEqual(await connect("bob", own), [{ client_dn: "/CN=pgtls" }]);
  await assert.rejects(connect("alice", {}), /connection requires a valid client certificate/);
});

Deno.test("startPlainPostgres() asks for a password where the method says so", async () => {
  for (const method of ["scram-sha-256", "md5"] as const) {
    await using server = await startPlainPostgres({ method });
    const connection = `host=127.0.0.1 port=${server.port} user=alice dbname=demo sslmode=disable`;
    const good = await psql(connection, { args: ["-c", "SELECT 1"], env: { PGPASSWORD: "secret" } });
    assert.equal(good.stdout.trim(), "1", good.stderr);
    const bad = await psql(connection, { args: ["-c", "SELECT 1"], env: { PGPASSWORD: "wrong" } });
    assert.match(bad.stderr, /password authentication failed/);
  }
});

Deno.test("psql18() speaks direct TLS, which needs libpq 17 or later", async () => {
  await using server = await startTlsPostgres();
  const connection =
    `host=localhost port=${server.port} user=alice dbname=demo sslmode=require sslnegotiation=direct`;
  const result = await psql18(connection, { args: ["-c", "SELECT 1"] });
  assert.equal(result.stdout.trim(), "1", result.stderr);
});
