/** Wrong passwords are counted by user and network, the time for a login is bounded, and a session's is not. */
import assert from "node:assert/strict";
import { encodeAuthentication } from "../../src/wire/authentication.ts";
import { decodeErrorResponse, encodeErrorResponse } from "../../src/wire/error_response.ts";
import { encodePasswordMessage } from "../../src/wire/password_message.ts";
import { grantTls, readPacket, startFakeBackend } from "../support/fake_backend.ts";
import { makeCa } from "../support/pki.ts";
import { startTlsPostgres, type TlsPostgres } from "../support/postgres.ts";
import { isEvent, listenerKeys, startTestProxy, type TestProxy } from "../support/proxy.ts";
import { psql } from "../support/psql.ts";
import { connectRawTls } from "../support/raw_client.ts";
import { userlistOf } from "../support/scram.ts";
import {
  logIn,
  readAuthentication,
  readMessage,
  readRefusal,
  readSuccess,
  startupOf,
} from "../support/scram_client.ts";
import { bytesOf } from "../wire/bytes.ts";

const ca = makeCa({ name: "proxy CA" });
const leaf = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost", "127.0.0.1"] });

Deno.test("After ten wrong passwords even the right one is refused at once, for this user alone", async () => {
  await using server = await startTlsPostgres({ method: "scram-sha-256" });
  await using proxy = await startProxy(server);
  const guess = async (user: string, password: string) => {
    await using client = await connectRawTls(proxy.ports[0]!);
    // Who comes when ten others have failed is turned away, in the same words, before it is asked.
    const asked = logIn(client, { user, password });
    return await asked.then(async () => (await readRefusal(client)).message, (error: Error) => error.message);
  };
  const wrong = 'password authentication failed for user "alice"';
  const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => guess("alice", `guess ${i}`)));
  assert.deepEqual(new Set(answers), new Set([wrong]));
  const dialled = proxy.events.filter(isEvent("backend.connected")).length;
  await using owner = await connectRawTls(proxy.ports[0]!);
  await owner.send(startupOf("alice"));
  assert.equal((await readRefusal(owner)).message, wrong);
  assert.equal(
    proxy.events.filter(isEvent("backend.connected")).length,
    dialled,
    "the backend was dialled for it",
  );
  const { reason, detail } = proxy.events.filter(isEvent("authentication.failed")).at(-1)!;
  assert.equal(reason, "auth_limited");
  assert.match(detail, /too many wrong passwords/);
  await using colleague = await connectRawTls(proxy.ports[0]!);
  await readSuccess(colleague, await logIn(colleague, { user: "bob", password: "hidden" }));
  colleague.end();
});

Deno.test("A psql that leaves to ask for a password has not failed", async () => {
  await using server = await startTlsPostgres({ method: "scram-sha-256" });
  await using proxy = await startProxy(server);
  const connection = `host=127.0.0.1 port=${proxy.ports[0]} user=alice dbname=demo sslmode=require`;
  const { stderr } = await psql(connection);
  assert.match(stderr, /no password supplied/);
  assert.equal((await proxy.closed(1))[0]!.reason, "client_closed");
  assert.equal(proxy.events.filter(isEvent("authentication.failed")).length, 0);
});

Deno.test("A client that does not log in in time is told so; a session that lasts longer is not cut", async () => {
  await using server = await startTlsPostgres({ method: "scram-sha-256" });
  await using proxy = await startProxy(server, { authentication_timeout: "3s" });
  await using silent = await connectRawTls(proxy.ports[0]!);
  await silent.send(startupOf("alice"));
  await readAuthentication(silent);
  const session = psql(`host=127.0.0.1 port=${proxy.ports[0]} user=alice dbname=demo sslmode=require`, {
    args: ["-c", "SELECT pg_sleep(4)", "-c", "SELECT 'lived'"],
    env: { PGPASSWORD: "secret" },
  });
  const { sqlstate, message } = await readRefusal(silent);
  assert.deepEqual([sqlstate, message], ["57014", "canceling authentication due to timeout"]);
  assert.match((await session).stdout, /lived/);
});

Deno.test("In password mode guesses count for the user at the backend, by whatever name they came", async (t) => {
  const ACCEPT_AS_ALICE = `export default async (scope: any, receive: any, send: any) => {
    await receive();
    if (scope.type === "postgresql") await send({ type: "postgresql.accept", user: "alice" });
  };`;
  const long = "é".repeat(31) + "x";
  const cases: [name: string, app: Record<string, string>, userOf: (i: number) => string][] = [
    ["chosen by an app", { app: ACCEPT_AS_ALICE }, (i) => `name ${i}`],
    ["cut after 63 bytes, as PostgreSQL does", {}, (i) => `${long}${i}`],
  ];
  for (const [name, app, userOf] of cases) {
    await t.step(name, async () => {
      await using backend = await startRefusing("28P01", "password authentication failed");
      const address = { address: `127.0.0.1:${backend.port}`, root_ca: ca.certPem };
      const route = { ...app, listener: listenerKeys(leaf), backend: address, auth: { mode: "password" } };
      await using proxy = await startTestProxy(route);
      await checkLimited(proxy, userOf);
    });
  }
});

Deno.test("In password mode a refusal in the words of PgBouncer or Pgpool-II is a wrong password, and one for everybody is not", async () => {
  const refusals = [
    ["08P01", "SASL authentication failed", true],
    ["XX000", "md5 authentication failed", true],
    ["57P03", "the database system is shutting down", false],
  ] as const;
  for (const [sqlstate, message, isGuess] of refusals) {
    await using backend = await startRefusing(sqlstate, message);
    const address = { address: `127.0.0.1:${backend.port}`, root_ca: ca.certPem };
    const route = { listener: listenerKeys(leaf), backend: address, auth: { mode: "password" } };
    await using proxy = await startTestProxy(route);
    if (isGuess) await checkLimited(proxy, () => "alice");
    else assert.equal((await Promise.all(guesses(proxy, () => "alice"))).at(-1), message);
    const reasons = new Set(
      proxy.events.filter(isEvent("authentication.failed")).map(({ reason }) => reason),
    );
    assert.deepEqual([...reasons].sort(), isGuess ? ["auth_failed", "auth_limited"] : ["backend_error"]);
  }
});

/** A backend that asks for md5 and takes no password. */
function startRefusing(sqlstate: string, message: string) {
  return startFakeBackend(async (tcp) => {
    const peer = await grantTls(tcp, leaf);
    await readPacket(peer);
    await peer.send(encodeAuthentication({ kind: "md5_password", salt: bytesOf("salt") }));
    if (await peer.readSome() !== null) {
      await peer.send(encodeErrorResponse({ severity: "FATAL", sqlstate, message }));
    }
    peer.end();
  });
}

async function checkLimited(proxy: TestProxy, userOf: (i: number) => string): Promise<void> {
  await Promise.all(guesses(proxy, userOf));
  await using client = await connectRawTls(proxy.ports[0]!);
  await client.send(startupOf(userOf(99)));
  assert.equal((await readRefusal(client)).sqlstate, "28P01");
  assert.equal(proxy.events.filter(isEvent("authentication.failed")).at(-1)!.reason, "auth_limited");
}

/** Twelve at once. */
function guesses(proxy: TestProxy, userOf: (i: number) => string): Promise<string>[] {
  return Array.from({ length: 12 }, async (_, i) => {
    await using client = await connectRawTls(proxy.ports[0]!);
    await client.send(startupOf(userOf(i)));
    // Who comes when ten others have failed is turned away before it is asked.
    const first = await readMessage(client);
    if (first.type === "E") return decodeErrorResponse(first.bytes).message;
    await client.send(encodePasswordMessage(bytesOf(`guess ${i}`)));
    return (await readRefusal(client)).message;
  });
}

async function startProxy(server: TlsPostgres, more: Record<string, unknown> = {}): Promise<TestProxy> {
  const backend = { address: `127.0.0.1:${server.port}`, root_ca: server.ca.certPem };
  const auth = { mode: "scram", auth_file: await userlistOf(server), ...more };
  return await startTestProxy({ listener: listenerKeys(leaf), backend, auth });
}
