/** Wrong passwords are counted by user and network, the time for a login is bounded, and a session's is not. */
import assert from "node:assert/strict";
import { makeCa } from "../support/pki.ts";
import { startTlsPostgres, type TlsPostgres } from "../support/postgres.ts";
import { isEvent, listenerKeys, startTestProxy, type TestProxy } from "../support/proxy.ts";
import { psql } from "../support/psql.ts";
import { connectRawTls } from "../support/raw_client.ts";
import { userlistOf } from "../support/scram.ts";
import { logIn, readAuthentication, readRefusal, readSuccess, startupOf } from "../support/scram_client.ts";

const ca = makeCa({ name: "proxy CA" });
const leaf = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost", "127.0.0.1"] });

Deno.test("After ten wrong passwords even the right one is refused at once, for this user alone", async () => {
  await using server = await startTlsPostgres({ method: "scram-sha-256" });
  await using proxy = await startProxy(server);
  const guess = async (user: string, password: string) => {
    await using client = await connectRawTls(proxy.ports[0]!);
    await logIn(client, { user, password });
    return (await readRefusal(client)).message;
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
  await using proxy = await startProxy(server, { authentication_timeout: "500ms" });
  await using silent = await connectRawTls(proxy.ports[0]!);
  await silent.send(startupOf("alice"));
  await readAuthentication(silent);
  const session = psql(`host=127.0.0.1 port=${proxy.ports[0]} user=alice dbname=demo sslmode=require`, {
    args: ["-c", "SELECT pg_sleep(1.5)", "-c", "SELECT 'lived'"],
    env: { PGPASSWORD: "secret" },
  });
  const { sqlstate, message } = await readRefusal(silent);
  assert.deepEqual([sqlstate, message], ["57014", "canceling authentication due to timeout"]);
  assert.match((await session).stdout, /lived/);
});

async function startProxy(server: TlsPostgres, more: Record<string, unknown> = {}): Promise<TestProxy> {
  const backend = { address: `127.0.0.1:${server.port}`, root_ca: server.ca.certPem };
  const auth = { mode: "scram", auth_file: await userlistOf(server), ...more };
  return await startTestProxy({ listener: listenerKeys(leaf), backend, auth });
}
