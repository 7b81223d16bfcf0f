/** `[[proxy.allow]]` on a listening proxy: psql, s_client and raw clients, and a backend that counts who comes. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { decodeErrorResponse } from "../../src/wire/error_response.ts";
import { closingLines } from "../support/closing_lines.ts";
import { startCountingBackend } from "../support/counting_backend.ts";
import { type Leaf, makeCa, makeSelfSigned, writeFiles } from "../support/pki.ts";
import { startPlainPostgres } from "../support/postgres.ts";
import { isEvent, listenerKeys, startTestProxy, type TestProxy } from "../support/proxy.ts";
import { psql } from "../support/psql.ts";
import { answerTo } from "../support/raw_client.ts";
import { sClient } from "../support/s_client.ts";
import { packetOf, PROTOCOL_3_0 } from "../wire/bytes.ts";

const ca = makeCa({ name: "CA" });
const server = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost", "127.0.0.1"] });
const alice = ca.issue({ name: "alice", purpose: "client" });
const bob = ca.issue({ name: "bob", purpose: "client" });
/** Names itself alice, and nobody vouches for it. */
const impostor = makeSelfSigned({ name: "alice", purpose: "client" });

const OWN_NAME = { client_cert_cn: "/(.*)/", users: "\\1" };

Deno.test("psql gets in under the name in its certificate, and under no other", async () => {
  await using postgres = await startPlainPostgres();
  const backend = { address: `127.0.0.1:${postgres.port}`, tls_enabled: false };
  await using proxy = await startTestProxy({
    keys: { allow: [OWN_NAME] },
    listener: listenerKeys(server, ca),
    backend,
  });
  const asked = async (leaf: Leaf, user: string) =>
    await psql(await connection(proxy, leaf, user), { args: ["-c", "SELECT current_user"] });
  assert.equal((await asked(alice, "alice")).stdout, "alice\n");
  assert.equal((await asked(bob, "bob")).stdout, "bob\n");
  for (
    const [leaf, user] of [[alice, "bob"], [bob, "alice"], [alice, "Alice"], [alice, "postgres"]] as const
  ) {
    const { code, stderr } = await asked(leaf, user);
    assert.equal(code, 2);
    assert.match(stderr, /FATAL: {2}connection is not permitted by the rules of this route\n$/);
  }
  // A session's closing line waits for its backend, and may come after those of clients that were refused meanwhile.
  const refused = (await closingLines(proxy)).filter(({ reason }) => reason !== "client_closed");
  assert.deepEqual(
    refused.map(({ reason, backend }) => [reason, backend]),
    Array(4).fill(["rule_denied", null]),
  );
  const denials = proxy.events.filter(isEvent("rule.denied"));
  assert.equal(denials[0]!.detail, 'No rule matches: allow[0] wants another user than "bob"');
  assert.deepEqual(denials.map(({ detail }) => detail), refused.map(({ detail }) => detail));
});

Deno.test("a certificate that was refused counts as none, and the connection stays open for other rules", async () => {
  await using counting = await startCountingBackend();
  const { backend } = counting;
  const listener = { ...listenerKeys(server, ca), mtls: "optional" };
  await using proxy = await startTestProxy(
    { keys: { allow: [OWN_NAME] }, listener, backend },
    { keys: { allow: [OWN_NAME, { client_address: "127.0.0.1" }] }, listener, backend },
  );
  assert.equal((await sClient(proxy.ports[0]!, { leaf: impostor })).sqlstate, "28000");
  assert.equal((await sClient(proxy.ports[0]!)).sqlstate, "28000");
  assert.equal(counting.accepts(), 0, "nothing may be dialled");
  assert.equal((await sClient(proxy.ports[0]!, { leaf: alice })).ready, true);
  assert.equal((await sClient(proxy.ports[1]!, { leaf: impostor })).ready, true);
  assert.deepEqual(
    proxy.events.filter(isEvent("rule.denied")).map(({ detail }) => detail),
    Array(2).fill("No rule matches: allow[0] wants another client_cert_cn than none"),
  );
});

for (const version of ["1.2", "1.3"] as const) {
  Deno.test(`a session resumed in TLS ${version} brings the certificate it was made with, never another route's trust`, async () => {
    await using counting = await startCountingBackend();
    const { backend } = counting;
    const listener = { ...listenerKeys(server, ca), mtls: "optional" };
    const other = makeCa({ name: "other CA" });
    await using proxy = await startTestProxy(
      { listener: { ...listener, client_ca: other.certPem }, backend },
      { keys: { allow: [OWN_NAME] }, listener, backend },
      { listener: { server_cert: server.chainPem, server_key: server.keyPem }, backend },
    );
    const ticket = join(proxy.dir, "ticket");
    const rogue = other.issue({ name: "alice", purpose: "client" });
    const [theirs, ours, free] = proxy.ports as [number, number, number];

    assert.equal((await sClient(ours, { version, leaf: alice, sessionOut: ticket })).ready, true);
    const again = await sClient(ours, { version, leaf: alice, sessionIn: ticket });
    assert.deepEqual([again.resumed, again.ready], [true, true], "alice's own session");

    const accepts = counting.accepts();
    await sClient(theirs, { version, leaf: rogue, sessionOut: ticket });
    assert.equal(counting.accepts(), accepts + 1, "verified there");
    const elsewhere = await sClient(ours, { version, leaf: rogue, sessionIn: ticket });
    assert.deepEqual([elsewhere.resumed, elsewhere.sqlstate, elsewhere.ready], [true, "28000", false]);

    await sClient(free, { version, sessionOut: ticket });
    const bare = await sClient(ours, { version, sessionIn: ticket });
    assert.deepEqual([bare.resumed, bare.sqlstate, bare.ready], [true, "28000", false]);
  });
}

Deno.test("a common name that is a regex is a name", async () => {
  await using counting = await startCountingBackend();
  const wild = ca.issue({ name: ".*", purpose: "client" });
  await using proxy = await startTestProxy({
    keys: { allow: [{ client_cert_cn: "/(.*)/", users: "/\\1/" }] },
    listener: listenerKeys(server, ca),
    backend: counting.backend,
  });
  assert.equal((await sClient(proxy.ports[0]!, { leaf: wild })).sqlstate, "28000");
  assert.equal(counting.accepts(), 0);
  assert.equal((await sClient(proxy.ports[0]!, { leaf: alice })).ready, true);
});

Deno.test("what a client asks for in bytes is what is compared, sent, or refused", async () => {
  await using counting = await startCountingBackend();
  await using proxy = await startTestProxy({
    keys: { allow: [{ users: "/.*/", databases: "demo" }] },
    listener: { tls_enabled: false },
    backend: counting.backend,
  });
  const long = "x".repeat(64);
  const bodies: Readonly<Record<string, string>> = {
    "another database": "user\0alice\0database\0other\0\0",
    "the default database": "user\0alice\0\0",
    "an empty database": "user\0alice\0database\0\0\0",
    "replication of everything": "user\0alice\0database\0demo\0replication\0true\0\0",
    "a database that PostgreSQL would cut": `user\0alice\0database\0${long}\0\0`,
    "a user that PostgreSQL would cut": `user\0${long}\0database\0demo\0\0`,
    "a user that is not UTF-8": "user\0al\xffce\0database\0demo\0\0",
    "a database in capitals beside it": "user\0alice\0DATABASE\0demo\0\0",
  };
  for (const [what, body] of Object.entries(bodies)) {
    const answer = decodeErrorResponse(await answerTo(proxy.ports[0]!, packetOf(PROTOCOL_3_0, body)));
    assert.equal(answer.sqlstate, "28000", what);
  }
  const twice = await answerTo(
    proxy.ports[0]!,
    packetOf(PROTOCOL_3_0, "user\0a\0database\0demo\0database\0x\0\0"),
  );
  assert.equal(decodeErrorResponse(twice).sqlstate, "08P01", "two databases");
  assert.equal(counting.accepts(), 0, "nothing may be dialled");
});

Deno.test("rules come before the app, and before a place among the sessions", async () => {
  await using counting = await startCountingBackend();
  const app = "export default () => { throw new Error('asked'); };";
  await using proxy = await startTestProxy({
    app,
    keys: { allow: [{ users: "nobody" }] },
    listener: { tls_enabled: false, max_connections: 1 },
    backend: counting.backend,
  });
  const startup = packetOf(PROTOCOL_3_0, "user\0alice\0database\0demo\0\0");
  await Promise.all(Array.from({ length: 5 }, () => answerTo(proxy.ports[0]!, startup)));
  const closed = await closingLines(proxy);
  assert.deepEqual(closed.map(({ reason }) => reason), Array(5).fill("rule_denied"));
  assert.deepEqual(proxy.events.filter(isEvent("app.failed")), []);
  await answerTo(proxy.ports[0]!, packetOf(PROTOCOL_3_0, "user\0nobody\0\0"));
  assert.equal((await proxy.waitFor(isEvent("app.failed"))).detail, "App threw Error: asked");
});

Deno.test("a client that is refused by a rule learns nothing of the rule", async () => {
  await using counting = await startCountingBackend();
  await using proxy = await startTestProxy({
    keys: { allow: [{ users: "/secret_[a-z]+/" }, { databases: "hidden" }] },
    listener: { tls_enabled: false },
    backend: counting.backend,
  });
  const answer = await answerTo(proxy.ports[0]!, packetOf(PROTOCOL_3_0, "user\0eve\0database\0demo\0\0"));
  assert.deepEqual(decodeErrorResponse(answer), {
    severity: "FATAL",
    sqlstate: "28000",
    message: "connection is not permitted by the rules of this route",
  });
});

async function connection(proxy: TestProxy, leaf: Leaf, user: string): Promise<string> {
  const files = { "ca.crt": ca.certPem, "client.crt": leaf.chainPem, "client.key": leaf.keyPem };
  const paths = await writeFiles(proxy.dir, files);
  return `host=localhost hostaddr=127.0.0.1 port=${
    proxy.ports[0]
  } user=${user} dbname=demo sslmode=verify-full ` +
    `sslrootcert=${paths["ca.crt"]} sslcert=${paths["client.crt"]} sslkey=${paths["client.key"]}`;
}
