/** auth.mode = "scram" with real clients against PostgreSQL 18: who gets in, and what the login is bound to. */
import assert from "node:assert/strict";
import pg from "pg";
import postgres from "postgres";
import { type Ca, type KeyType, type Leaf, makeCa } from "../support/pki.ts";
import { startPlainPostgres, startTlsPostgres, type TlsPostgres } from "../support/postgres.ts";
import { isEvent, listenerKeys, startTestProxy, type TestProxy } from "../support/proxy.ts";
import { psql, psql18 } from "../support/psql.ts";
import { userlistOf } from "../support/scram.ts";

const KEY_TYPES = ["P-256", "RSA-2048", "Ed25519"] as const satisfies readonly KeyType[];
const BINDINGS = ["prefer", "require", "disable"] as const;
const WRONG = /FATAL: {2}password authentication failed for user/;
const LONG = "x".repeat(4_000);
/** Fullwidth letters, a ligature, a soft hyphen and a wide space: SASLprep changes every one. */
const NON_ASCII = "ｐäß\u00adwö\u3000rd ﬁ Ω";

Deno.test("psql gets in with every kind of certificate on either leg, bound wherever a certificate can be bound to", async (t) => {
  for (const backendKey of KEY_TYPES) {
    const { ca, leaf } = issue(backendKey);
    await using server = await startTlsPostgres({ method: "scram-sha-256", ca, certificate: leaf });
    for (const listenerKey of KEY_TYPES) {
      await t.step(`${listenerKey} to ${backendKey}`, async () => {
        await using proxy = await startScramProxy(server, issue(listenerKey).leaf);
        const isBindable = listenerKey !== "Ed25519";
        for (const run of [psql, psql18]) {
          for (const binding of BINDINGS) {
            const connection = `${address(proxy)} user=alice channel_binding=${binding}`;
            const opened = proxy.events.filter(isEvent("session.opened")).length;
            const { stdout, stderr } = await run(connection, LOGIN);
            if (binding === "require" && !isBindable) {
              assert.match(stderr, /channel binding is required, but server did not offer/);
              continue;
            }
            assert.equal(stdout.trim(), "alice", `${binding}: ${stderr}`);
            const { client_binding, backend_binding } = proxy.events.filter(
              isEvent("session.opened"),
            )[opened]!;
            assert.equal(client_binding, isBindable && binding !== "disable", binding);
            assert.equal(backend_binding, backendKey !== "Ed25519", binding);
          }
        }
      });
    }
  }
});

Deno.test("Only the right password of a listed user gets in, whatever it is made of", async (t) => {
  await using server = await startTlsPostgres({ method: "scram-sha-256" });
  await server.query(`CREATE ROLE "we""ird name" LOGIN PASSWORD '${NON_ASCII}'`);
  await server.query(`CREATE ROLE long LOGIN PASSWORD '${LONG}'`);
  await server.query("CREATE ROLE late LOGIN PASSWORD 'late'");
  await server.query("CREATE ROLE changed LOGIN PASSWORD 'before'");
  await using proxy = await startScramProxy(
    server,
    issue("P-256").leaf,
    (list) => list.replace(/"late" .*\n/, ""),
  );
  await server.query("ALTER ROLE changed PASSWORD 'after'");
  const cases: [user: string, password: string, ok: boolean][] = [
    ["alice", "secret", true],
    ["alice", "Secret", false],
    ["alice", "hidden", false],
    ["long", LONG, true],
    ["long", LONG.slice(1), false],
    ['we"ird name', NON_ASCII, true],
    ['we"ird name', NON_ASCII.normalize("NFKC").replace("\u00ad", ""), true],
    ['we"ird name', "pass", false],
    // On the backend, but not in auth_file.
    ["late", "late", false],
    ["nobody", "secret", false],
    // The verifier is of the old password: no password fits both sides.
    ["changed", "before", false],
    ["changed", "after", false],
  ];
  for (const [user, password, ok] of cases) {
    await t.step(`${user} with ${password.slice(0, 12)}`, async () => {
      for (const run of [psql, psql18]) {
        const { stdout, stderr } = await run(`${address(proxy)} user='${user}'`, login(password));
        if (ok) assert.equal(stdout.trim(), user, stderr);
        else assert.match(stderr, new RegExp(`${WRONG.source} "${user}"`));
      }
    });
  }
  const failures = proxy.events.filter(isEvent("authentication.failed"));
  const reasons = (user: string) => failures.filter(({ detail }) => detail.includes(`"${user}"`));
  assert.match(reasons("alice")[0]!.detail, /the password is wrong/);
  assert.match(reasons("nobody")[0]!.detail, /there is no such user in auth_file/);
  const outdated = reasons("changed").filter(({ reason }) => reason === "backend_login_failed");
  assert.equal(outdated.length, 2, "one for each psql with the password of the verifier");
  assert.match(
    outdated[0]!.detail,
    /the verifier in auth_file is not the backend's .*salt or iterations are others/,
  );
  const log = JSON.stringify(proxy.events);
  for (const secret of ["secret", "hidden", LONG, NON_ASCII, "before", "after", "SCRAM-SHA-256$"]) {
    assert.ok(!log.includes(secret), "a secret in an event");
  }
});

Deno.test("Plaintext legs and other ways to come in", async (t) => {
  await using plain = await startPlainPostgres({ method: "scram-sha-256" });
  await using trust = await startTlsPostgres({ method: "trust" });
  await using tls = await startTlsPostgres({
    method: "scram-sha-256",
    hba: ["hostssl replication alice 127.0.0.1/32 scram-sha-256"],
    settings: { wal_level: "replica" },
  });
  await tls.query("ALTER ROLE alice REPLICATION");
  const { leaf } = issue("P-256");
  await t.step("to a backend in plaintext", async () => {
    const backend = { address: `127.0.0.1:${plain.port}`, tls_enabled: false };
    const auth = { mode: "scram", auth_file: await userlistOf(plain) };
    await using proxy = await startTestProxy({ listener: listenerKeys(leaf), backend, auth });
    assert.equal(
      (await psql(`${address(proxy)} user=alice channel_binding=require`, LOGIN)).stdout.trim(),
      "alice",
    );
    assert.match((await psql(`${address(proxy)} user=alice`, login("wrong"))).stderr, WRONG);
    assert.deepEqual(bindingsOf(proxy), [[true, false]]);
  });
  await t.step("from a client in plaintext", async () => {
    const auth = { mode: "scram", auth_file: await userlistOf(tls) };
    await using proxy = await startTestProxy({
      listener: { tls_enabled: false },
      backend: backendOf(tls),
      auth,
    });
    const connection = `host=127.0.0.1 port=${proxy.ports[0]} dbname=demo sslmode=disable user=alice`;
    assert.equal((await psql(connection, LOGIN)).stdout.trim(), "alice");
    assert.match((await psql(connection, login("wrong"))).stderr, WRONG);
    assert.deepEqual(bindingsOf(proxy), [[false, true]]);
  });
  await t.step("to a backend that trusts: the password counts all the same", async () => {
    await using proxy = await startScramProxy(trust, leaf);
    assert.equal((await psql(`${address(proxy)} user=alice`, LOGIN)).stdout.trim(), "alice");
    assert.match((await psql(`${address(proxy)} user=alice`, login("wrong"))).stderr, WRONG);
    assert.deepEqual(bindingsOf(proxy), [[true, null]]);
  });
  await using proxy = await startScramProxy(tls, leaf);
  await t.step("direct TLS, protocol 3.2, and both together", async () => {
    for (
      const more of [
        "sslnegotiation=direct",
        "max_protocol_version=3.2",
        "sslnegotiation=direct min_protocol_version=3.2",
      ]
    ) {
      const { stdout, stderr } = await psql18(`${address(proxy)} user=alice ${more}`, LOGIN);
      assert.equal(stdout.trim(), "alice", `${more}: ${stderr}`);
    }
  });
  await t.step("a replication connection", async () => {
    const { stdout, stderr } = await psql(`${address(proxy)} user=alice replication=database`, {
      args: ["-c", "IDENTIFY_SYSTEM"],
      env: { PGPASSWORD: "secret" },
    });
    assert.match(stdout, /^\d+\|1\|[0-9A-F]+\/[0-9A-F]+\|demo/, stderr);
    const wal = await psql(`${address(proxy)} user=alice replication=true`, {
      args: ["-c", "IDENTIFY_SYSTEM"],
      env: { PGPASSWORD: "secret" },
    });
    assert.match(wal.stdout, /^\d+\|1\|[0-9A-F]+\/[0-9A-F]+\|/, wal.stderr);
  });
  await t.step("a database that does not exist is the backend's to refuse", async () => {
    const { stderr } = await psql(`${address(proxy).replace("demo", "nowhere")} user=alice`, LOGIN);
    assert.match(stderr, /FATAL: {2}database "nowhere" does not exist/);
  });
  await t.step("a user whom pg_hba.conf refuses learns it from the backend", async () => {
    const list = await userlistOf(tls);
    const closed = await startTlsPostgres({
      method: "scram-sha-256",
      hba: ["hostssl all bob 127.0.0.1/32 reject"],
    });
    try {
      const auth = { mode: "scram", auth_file: list };
      await using refusing = await startTestProxy({
        listener: listenerKeys(leaf),
        backend: backendOf(closed),
        auth,
      });
      const { stderr } = await psql(`${address(refusing)} user=bob`, login("hidden"));
      assert.match(stderr, /FATAL: {2}pg_hba.conf rejects connection/);
    } finally {
      await closed.stop();
    }
  });
});

Deno.test("A session that an app lets in as another user needs a backend that trusts that user, and the log says so", async () => {
  const app = `export default async (scope, receive, send) => {
    await send({ type: "postgresql.accept", user: "bob" });
  };`;
  await using server = await startTlsPostgres({ method: "scram-sha-256" });
  const auth = { mode: "scram", auth_file: await userlistOf(server) };
  const route = { app, listener: listenerKeys(issue("P-256").leaf), auth };
  await using asking = await startTestProxy({ ...route, backend: backendOf(server) });
  assert.match(
    (await psql(`${address(asking)} user=alice`, LOGIN)).stderr,
    new RegExp(`${WRONG.source} "alice"`),
  );
  const [failed] = asking.events.filter(isEvent("authentication.failed"));
  assert.equal(failed!.reason, "backend_login_failed");
  assert.match(
    failed!.detail,
    /user "alice": the app lets it in as "bob", and the backend asks for that user's/,
  );
  await using trust = await startTlsPostgres({ method: "trust" });
  await using trusting = await startTestProxy({ ...route, backend: backendOf(trust) });
  assert.equal((await psql(`${address(trusting)} user=alice`, LOGIN)).stdout.trim(), "bob");
  assert.match((await psql(`${address(trusting)} user=alice`, login("wrong"))).stderr, WRONG);
});

Deno.test("node-postgres with and without channel binding, and Postgres.js, get in", async () => {
  await using server = await startTlsPostgres({ method: "scram-sha-256" });
  const { ca, leaf } = issue("P-256");
  await using proxy = await startScramProxy(server, leaf);
  const options = { host: "localhost", port: proxy.ports[0]!, user: "alice", database: "demo" };
  for (const enableChannelBinding of [true, false]) {
    const client = new pg.Client({
      ...options,
      password: "secret",
      enableChannelBinding,
      ssl: { ca: ca.certPem },
    });
    await client.connect();
    assert.deepEqual((await client.query("SELECT current_user AS me")).rows, [{ me: "alice" }]);
    await client.end();
    const stranger = new pg.Client({
      ...options,
      password: "wrong",
      enableChannelBinding,
      ssl: { ca: ca.certPem },
    });
    await assert.rejects(stranger.connect(), { code: "28P01" });
  }
  const sql = postgres({
    ...options,
    password: "secret",
    max: 1,
    ssl: { ca: ca.certPem, servername: "localhost" },
  });
  assert.deepEqual([...await sql`SELECT current_user AS me`], [{ me: "alice" }]);
  await sql.end();
  assert.deepEqual(bindingsOf(proxy), [[true, true], [false, true], [false, true]]);
});

function issue(keyType: KeyType): { ca: Ca; leaf: Leaf } {
  const ca = makeCa({ name: `${keyType} CA`, keyType });
  const sans = ["localhost", "127.0.0.1"];
  return { ca, leaf: ca.issue({ name: "localhost", purpose: "server", sans, keyType }) };
}

async function startScramProxy(
  server: TlsPostgres,
  leaf: Leaf,
  edit = (list: string) => list,
): Promise<TestProxy> {
  const auth = { mode: "scram", auth_file: edit(await userlistOf(server)) };
  return await startTestProxy({ listener: listenerKeys(leaf), backend: backendOf(server), auth });
}

function backendOf(server: TlsPostgres): Record<string, unknown> {
  return { address: `127.0.0.1:${server.port}`, root_ca: server.ca.certPem };
}

function address(proxy: TestProxy): string {
  return `host=127.0.0.1 port=${proxy.ports[0]} dbname=demo sslmode=require`;
}

function login(password: string) {
  return { args: ["-c", "SELECT current_user"], env: { PGPASSWORD: password, PGCLIENTENCODING: "UTF8" } };
}

function bindingsOf(proxy: TestProxy): (boolean | null)[][] {
  return proxy.events.filter(isEvent("session.opened")).map((
    event,
  ) => [event.client_binding, event.backend_binding]);
}

const LOGIN = login("secret");
