/** Attacks on auth.mode = "scram": from the middle of either leg, from the client, from the backend. */
import assert from "node:assert/strict";
import { sha256 } from "../../src/auth/hashing.ts";
import { endPointHash } from "../../src/tls/end_point_hash.ts";
import { decodeAuthentication, encodeAuthentication } from "../../src/wire/authentication.ts";
import { decodeErrorResponse } from "../../src/wire/error_response.ts";
import { encodeMessage } from "../../src/wire/message.ts";
import {
  decodeSaslInitialResponse,
  decodeSaslResponse,
  encodeSaslInitialResponse,
  encodeSaslResponse,
} from "../../src/wire/password_message.ts";
import { ScramClient } from "../../src/wire/scram_client.ts";
import { ScramServer } from "../../src/wire/scram_server.ts";
import { grantTls, readPacket, startFakeBackend } from "../support/fake_backend.ts";
import { startInterceptor } from "../support/interceptor.ts";
import type { PeerStream } from "../support/peer_stream.ts";
import { type Leaf, makeCa } from "../support/pki.ts";
import { startTlsPostgres, type TlsPostgres } from "../support/postgres.ts";
import { isEvent, listenerKeys, startTestProxy, type TestProxy } from "../support/proxy.ts";
import { psql } from "../support/psql.ts";
import { connectRaw, connectRawTls, query } from "../support/raw_client.ts";
import { formatVerifier, makeVerifier, userlistOf } from "../support/scram.ts";
import {
  logIn,
  readAuthentication,
  readMessage,
  readRefusal,
  readSuccess,
  startupOf,
} from "../support/scram_client.ts";
import { bytesOf, GSSENC_REQUEST, SSL_REQUEST } from "../wire/bytes.ts";

const ca = makeCa({ name: "proxy CA" });
const issue = (): Leaf =>
  ca.issue({ name: "localhost", purpose: "server", sans: ["localhost", "127.0.0.1"] });
const leaf = issue();
const verifier = await makeVerifier("secret");
const AUTH = { mode: "scram", auth_file: `"alice" "${formatVerifier(verifier)}"\n` };
const WRONG = { sqlstate: "28P01", message: 'password authentication failed for user "alice"' };

Deno.test("Somebody in the middle whose certificate verifies gets no login, on either leg", async (t) => {
  await using server = await startTlsPostgres({ method: "scram-sha-256" });
  const list = await userlistOf(server);
  const evil = issue();
  const evilBackend = server.ca.issue({
    name: "localhost",
    purpose: "server",
    sans: ["localhost", "127.0.0.1"],
  });
  await t.step("between client and pgtls: the login is bound to his certificate", async () => {
    await using proxy = await startProxy(server, list);
    await using middle = await startInterceptor({ leaf: evil, port: proxy.ports[0]! });
    const { stderr } = await loginThrough(middle.port, proxy);
    assert.match(stderr, /FATAL: {2}SCRAM channel binding check failed/);
  });
  await t.step("between client and pgtls, taking the offer away: the client says so", async () => {
    await using proxy = await startProxy(server, list);
    await using middle = await startInterceptor({ leaf: evil, port: proxy.ports[0]!, edit: withoutPlus });
    const { stderr } = await loginThrough(middle.port, proxy);
    assert.match(stderr, /FATAL: {2}SCRAM channel binding negotiation error/);
  });
  await t.step("between pgtls and backend: the backend notices", async () => {
    await using middle = await startInterceptor({ leaf: evilBackend, port: server.port });
    await using proxy = await startProxy(server, list, middle.port);
    const { stderr } = await loginThrough(proxy.ports[0]!, proxy);
    assert.match(stderr, /FATAL: {2}password authentication failed for user "alice"/);
    const { reason, detail } = await proxy.waitFor(isEvent("authentication.failed"));
    assert.equal(reason, "backend_login_failed");
    assert.match(detail, /SCRAM channel binding check failed/);
  });
  await t.step("between pgtls and backend, taking the offer away: the backend notices", async () => {
    await using middle = await startInterceptor({ leaf: evilBackend, port: server.port, edit: withoutPlus });
    await using proxy = await startProxy(server, list, middle.port);
    await loginThrough(proxy.ports[0]!, proxy);
    const { detail } = await proxy.waitFor(isEvent("authentication.failed"));
    assert.match(detail, /SCRAM channel binding negotiation error/);
  });
});

Deno.test("A client that breaks the exchange is told 08P01, a downgraded one 28000, and the backend hears nothing", async (t) => {
  await using backend = await startFakeBackend(async (tcp) => {
    const peer = await grantTls(tcp, leaf);
    await readPacket(peer);
    await peer.send(OFFER);
    assert.equal((await peer.readAll()).length, 0, "something of a refused login reached the backend");
    peer.end();
  });
  await using proxy = await startTestProxy({
    listener: listenerKeys(leaf),
    backend: toPort(backend.port),
    auth: AUTH,
  });
  const first = (mechanism: string, text: string) => encodeSaslInitialResponse(mechanism, bytesOf(text));
  const plus = "SCRAM-SHA-256-PLUS";
  const cases: [name: string, answer: Uint8Array, sqlstate: string][] = [
    ["another message", query("SELECT 1"), "08P01"],
    ["a mechanism that was not offered", first("PLAIN", "\0alice\0secret"), "08P01"],
    ["an oversized message", first("SCRAM-SHA-256", `n,,n=,r=${"x".repeat(1_020)}`), "08P01"],
    ["a length of 4 GB", bytesOf("p\xff\xff\xff\xff"), "08P01"],
    ["a length of zero", bytesOf("p\0\0\0\0"), "08P01"],
    ["a password in clear", encodeMessage("p", bytesOf("secret\0")), "08P01"],
    ["tls-unique", first(plus, "p=tls-unique,,n=,r=abc"), "08P01"],
    ["y with PLUS", first(plus, "y,,n=,r=abc"), "08P01"],
    ["n with PLUS", first(plus, "n,,n=,r=abc"), "08P01"],
    ["p without PLUS", first("SCRAM-SHA-256", "p=tls-server-end-point,,n=,r=abc"), "08P01"],
    ["a client that was not shown PLUS", first("SCRAM-SHA-256", "y,,n=,r=abc"), "28000"],
    ["another identity", first("SCRAM-SHA-256", "n,a=bob,n=,r=abc"), "0A000"],
    ["a NUL in the user name", first("SCRAM-SHA-256", "n,,n=a\0b,r=abc"), "08P01"],
    ["no nonce", first("SCRAM-SHA-256", "n,,n="), "08P01"],
  ];
  for (const [name, answer, sqlstate] of cases) {
    await t.step(name, async () => {
      await using client = await connectRawTls(proxy.ports[0]!);
      await client.send(startupOf("alice"));
      assert.equal((await readAuthentication(client)).kind, "sasl");
      await client.send(answer);
      assert.equal((await readRefusal(client)).sqlstate, sqlstate);
    });
  }
  await t.step("a login bound to another certificate", async () => {
    await using client = await connectRawTls(proxy.ports[0]!);
    const other = endPointHash(issue().der)!;
    await logIn(client, { password: "secret", binding: { kind: "bound", endPointHash: other } });
    const { sqlstate, message } = await readRefusal(client);
    assert.deepEqual([sqlstate, message], ["28000", "SCRAM channel binding check failed"]);
  });
  await t.step("the proof of another login, replayed", async () => {
    let captured = bytesOf();
    await using victim = await connectRawTls(proxy.ports[0]!);
    await logIn(victim, { password: "wrong", onFinal: (final) => captured = final });
    assert.equal((await readRefusal(victim)).sqlstate, "28P01");
    await using client = await connectRawTls(proxy.ports[0]!);
    await client.send(startupOf("alice"));
    await readAuthentication(client);
    await client.send(first("SCRAM-SHA-256", "n,,n=,r=abc"));
    await readAuthentication(client);
    await client.send(encodeSaslResponse(captured));
    assert.match((await readRefusal(client)).message, /nonce does not match/);
  });
});

Deno.test("A user that does not exist looks like one that does", async () => {
  await using backend = await startFakeBackend(async (tcp) => {
    const peer = await grantTls(tcp, leaf);
    await readPacket(peer);
    await peer.send(OFFER);
    await peer.closed();
  });
  const route = { listener: listenerKeys(leaf), backend: toPort(backend.port), auth: AUTH };
  const seen: Record<string, string[]> = { alice: [], nobody: [], noone: [] };
  for (let restart = 0; restart < 2; restart++) {
    await using proxy = await startTestProxy(route);
    for (const user of Object.keys(seen)) {
      await using client = await connectRawTls(proxy.ports[0]!);
      await client.send(startupOf(user));
      await readAuthentication(client);
      await client.send(encodeSaslInitialResponse("SCRAM-SHA-256", bytesOf("n,,n=,r=abc")));
      const challenge = await readAuthentication(client);
      assert.equal(challenge.kind, "sasl_continue");
      seen[user]!.push(String.fromCharCode(...challenge.data).replace(/^r=abc[^,]{24},/, ""));
      await client.send(encodeSaslResponse(bytesOf("broken")));
      assert.equal((await readRefusal(client)).sqlstate, "08P01");
      await using guesser = await connectRawTls(proxy.ports[0]!);
      await logIn(guesser, { user, password: "guess" });
      const { severity: _, ...refusal } = await readRefusal(guesser);
      assert.deepEqual(refusal, { ...WRONG, message: WRONG.message.replace("alice", user) });
    }
  }
  for (const [before, after] of Object.values(seen)) {
    assert.match(before!, /^s=[A-Za-z0-9+/]{22}==,i=4096$/);
    assert.equal(before, after, "a salt that changes shows that the user does not exist");
  }
  assert.equal(new Set(Object.values(seen).map(([salt]) => salt)).size, 3);
});

Deno.test("A backend that does not play by the rules gets no session, and learns no password", async (t) => {
  const serverFirst = (text: string) => async (peer: PeerStream) => {
    await peer.send(OFFER);
    await readMessage(peer);
    await peer.send(encodeAuthentication({ kind: "sasl_continue", data: bytesOf(text) }));
  };
  const afterProof = (said: (signature: Uint8Array) => Uint8Array, known = verifier) => (peer: PeerStream) =>
    prove(peer, known, said);
  const forged = await makeVerifier("secret", { salt: new Uint8Array(16).fill(8) });
  const impostor = { ...verifier, serverKey: forged.serverKey };
  const ok = encodeAuthentication({ kind: "ok" });
  const signed = (data: Uint8Array) => bytesOf(encodeAuthentication({ kind: "sasl_final", data }), ok);
  const cases: [
    name: string,
    script: (peer: PeerStream) => Promise<void>,
    reason: string,
    sqlstate: string,
  ][] = [
    ["asks for a password in clear", say("\0\0\0\x03"), "backend_login_failed", "28000"],
    ["asks for md5", say("\0\0\0\x05salt"), "backend_login_failed", "28000"],
    ["asks for GSS", say("\0\0\0\x07"), "backend_login_failed", "28000"],
    ["offers nothing it can do", say("\0\0\0\x0aOAUTHBEARER\0\0"), "backend_login_failed", "28000"],
    ["breaks the layout", say("\0\0\0\x0aSCRAM"), "backend_login_failed", "28000"],
    ["starts with a session", (peer) => peer.send(bytesOf("Z\0\0\0\x05I")), "backend_login_failed", "28000"],
    ["sends 4 GB", (peer) => peer.send(bytesOf("R\xff\xff\xff\xff")), "backend_login_failed", "28000"],
    ["closes", (peer) => Promise.resolve(peer.end()), "backend_lost", "08006"],
    ["has a nonce of its own", serverFirst("r=abcdefgh,s=AAAA,i=4096"), "backend_login_failed", "28000"],
    ["has another salt", (peer) => prove(peer, forged, signed), "backend_login_failed", "28P01"],
    ["has no signature", afterProof(() => ok), "backend_login_failed", "28000"],
    ["has a wrong signature", afterProof(signed, impostor), "backend_untrusted", "08001"],
    [
      "answers with an error of SCRAM",
      afterProof(() => signed(bytesOf("e=other-error"))),
      "backend_login_failed",
      "28000",
    ],
    [
      "signs and says no more than nothing",
      afterProof((data) => signed(data).subarray(0, -9)),
      "backend_lost",
      "08006",
    ],
  ];
  for (const [name, script, reason, sqlstate] of cases) {
    await t.step(name, async () => {
      await using backend = await startFakeBackend(async (tcp) => {
        const peer = await grantTls(tcp, leaf);
        await readPacket(peer);
        await script(peer);
        peer.end();
        await peer.closed();
      });
      await using proxy = await startTestProxy({
        listener: listenerKeys(leaf),
        backend: toPort(backend.port),
        auth: AUTH,
      });
      await using client = await connectRawTls(proxy.ports[0]!);
      const refusal = await readRefusalOfLogin(client);
      client.end();
      const [closed] = await proxy.closed(1);
      assert.deepEqual([closed!.reason, refusal.sqlstate], [reason, sqlstate], closed!.detail ?? "");
    });
  }
});

Deno.test("What the client sends behind its proof is the backend's, byte for byte", async () => {
  await using server = await startTlsPostgres({ method: "scram-sha-256" });
  await using proxy = await startProxy(server, await userlistOf(server));
  await using client = await connectRawTls(proxy.ports[0]!);
  const scram = await logIn(client, {
    password: "secret",
    binding: { kind: "bound", endPointHash: endPointHash(leaf.der)! },
    behind: query("SELECT 4711 AS answer"),
  });
  await readSuccess(client, scram);
  for (let message = await readMessage(client); message.type !== "D"; message = await readMessage(client));
  assert.equal((await readMessage(client)).type, "C");
  client.end();
});

Deno.test("A client with a Kerberos ticket asks for GSSAPI first, and logs in all the same", async () => {
  await using server = await startTlsPostgres({ method: "scram-sha-256" });
  await using proxy = await startProxy(server, await userlistOf(server));
  await using tcp = await connectRaw(proxy.ports[0]!);
  await tcp.send(GSSENC_REQUEST);
  assert.deepEqual(await tcp.read(1), bytesOf("N"));
  await tcp.send(SSL_REQUEST);
  assert.deepEqual(await tcp.read(1), bytesOf("S"));
  await using client = await tcp.startTls();
  const binding = { kind: "bound", endPointHash: endPointHash(leaf.der)! } as const;
  await readSuccess(client, await logIn(client, { password: "secret", binding }));
  client.end();
});

/** Logs in with the right password, and reads the refusal wherever it comes. */
async function readRefusalOfLogin(client: PeerStream) {
  await client.send(startupOf("alice"));
  const scram = new ScramClient({ nonce: "abc", binding: { kind: "unsupported" }, hashing: sha256 });
  const message = await readMessage(client);
  if (message.type === "E") return decodeErrorResponse(message.bytes);
  await client.send(encodeSaslInitialResponse(scram.mechanism, scram.first()));
  const challenge = await readAuthentication(client);
  assert.equal(challenge.kind, "sasl_continue");
  scram.challenge(challenge.data);
  await client.send(encodeSaslResponse(scram.final({ ...verifier, clientKey: verifier.clientKey.slice() })));
  return await readRefusal(client);
}

/** The backend's side of SCRAM with channel binding, up to the proof; `said` is given a right server-final-message. */
async function prove(
  peer: PeerStream,
  known: typeof verifier,
  said: (serverFinal: Uint8Array) => Uint8Array,
): Promise<void> {
  const scram = new ScramServer({
    verifier: known,
    nonce: "n".repeat(24),
    endPointHash: endPointHash(leaf.der),
    hashing: sha256,
  });
  await peer.send(OFFER);
  const { mechanism, data } = decodeSaslInitialResponse(await readMessage(peer));
  assert.equal(mechanism, "SCRAM-SHA-256-PLUS");
  await peer.send(encodeAuthentication({ kind: "sasl_continue", data: scram.first(mechanism, data!) }));
  const proven = scram.final(decodeSaslResponse(await readMessage(peer)));
  assert.ok(proven !== null, "pgtls sent a wrong proof");
  await peer.send(said(proven.serverFinal));
}

function say(body: string): (peer: PeerStream) => Promise<void> {
  return (peer) => peer.send(encodeMessage("R", bytesOf(body)));
}

function startProxy(server: TlsPostgres, list: string, port = server.port): Promise<TestProxy> {
  const backend = { address: `127.0.0.1:${port}`, root_ca: server.ca.certPem };
  return startTestProxy({ listener: listenerKeys(leaf), backend, auth: { mode: "scram", auth_file: list } });
}

function toPort(port: number): Record<string, unknown> {
  return { address: `127.0.0.1:${port}`, root_ca: ca.certPem };
}

async function loginThrough(port: number, proxy: TestProxy) {
  await Deno.writeTextFile(`${proxy.dir}/ca.pem`, ca.certPem);
  const connection = `host=localhost hostaddr=127.0.0.1 port=${port} user=alice dbname=demo`;
  const { stdout, stderr } = await psql(`${connection} sslmode=verify-full sslrootcert=${proxy.dir}/ca.pem`, {
    args: ["-c", "SELECT 1"],
    env: { PGPASSWORD: "secret" },
  });
  assert.equal(stdout, "", "somebody in the middle got a session");
  return { stderr };
}

/** What every interceptor before this one did. */
function withoutPlus(chunk: Uint8Array): Uint8Array {
  if (chunk[0] !== "R".charCodeAt(0)) return chunk;
  const request = decodeAuthentication({ type: "R", body: chunk.subarray(5), bytes: chunk });
  if (request.kind !== "sasl") return chunk;
  return encodeAuthentication({ kind: "sasl", mechanisms: ["SCRAM-SHA-256"] });
}

const OFFER = encodeAuthentication({ kind: "sasl", mechanisms: ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"] });
