/** However a backend, or what stands in front of it, ends a login after a wrong password: the guess counts. */
import assert from "node:assert/strict";
import { makeNonce, sha256 } from "../../src/auth/hashing.ts";
import { encodeAuthentication, SCRAM_SHA_256 } from "../../src/wire/authentication.ts";
import { encodeErrorResponse } from "../../src/wire/error_response.ts";
import {
  decodeSaslInitialResponse,
  decodeSaslResponse,
  encodePasswordMessage,
} from "../../src/wire/password_message.ts";
import { ScramServer } from "../../src/wire/scram_server.ts";
import {
  type BackendScript,
  grantTls,
  readPacket,
  READY,
  startFakeBackend,
} from "../support/fake_backend.ts";
import type { PeerStream } from "../support/peer_stream.ts";
import { makeCa } from "../support/pki.ts";
import { startTlsPostgres } from "../support/postgres.ts";
import { isEvent, listenerKeys, startTestProxy, type TestProxy } from "../support/proxy.ts";
import { connectRawTls } from "../support/raw_client.ts";
import { formatVerifier, makeVerifier } from "../support/scram.ts";
import { logIn, readAuthentication, readMessage, startupOf } from "../support/scram_client.ts";
import { bytesOf } from "../wire/bytes.ts";

const ca = makeCa({ name: "proxy CA" });
const leaf = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost", "127.0.0.1"] });
const verifier = await makeVerifier("secret");

Deno.test("A backend that ends the login in its own way after a wrong password gives no guess away", async () => {
  const cases: [how: string, script: BackendScript][] = [
    ["md5, closes", afterMd5(close)],
    ["md5, asks again", afterMd5((peer) => peer.send(MD5))],
    ["md5, refuses in words nobody knows", afterMd5((peer) => refuse(peer, "58000", "go away"))],
    ["SCRAM, closes", afterProof(close)],
    ["SCRAM, resets", afterProof((peer) => Promise.resolve(peer.reset()))],
    ["SCRAM, breaks the protocol", afterProof((peer) => peer.send(READY))],
    ["SCRAM, says that it was not its fault", afterProof((peer) => refuse(peer, "08006", "lost"))],
  ];
  await Promise.all(cases.map(async ([how, script]) => {
    await using tested = await start(script);
    await tryPasswords(tested.proxy, (i) => `guess ${i}`);
    await checkBlocked(tested.proxy, how);
  }));
});

Deno.test("A backend that keeps silent after a wrong password gives no guess away", async () => {
  let answered = 0;
  const script = afterProof((peer) => answered++ < 9 ? close(peer) : silence());
  await using tested = await start(script, { mode: "password", authentication_timeout: "3s" });
  await tryPasswords(tested.proxy, (i) => `guess ${i}`, 9);
  await checkOpen(tested.proxy);
  await tryPasswords(tested.proxy, () => "the tenth", 1);
  await checkBlocked(tested.proxy);
});

Deno.test("A client that leaves before such a backend has ended the login has guessed all the same", async () => {
  await using tested = await start(afterMd5(close));
  const { proxy } = tested;
  await Promise.all(Array.from({ length: 10 }, async (_, i) => {
    await using client = await connectRawTls(proxy.ports[0]!);
    await answer(client, `guess ${i}`);
    client.end();
  }));
  await proxy.closed(10);
  await checkBlocked(proxy);
});

Deno.test("A backend that ends the login before it has seen a proof has said nothing of the password", async () => {
  const beforeProof = (end: BackendScript): BackendScript => async (peer) => {
    await peer.send(encodeAuthentication({ kind: "sasl", mechanisms: [SCRAM_SHA_256] }));
    await readMessage(peer);
    await end(peer);
  };
  await checkNotCounted("closes", beforeProof(close), (i) => `guess ${i}`);
});

Deno.test("A backend that is full, or on its way up or down, has said nothing of the password", async () => {
  await Promise.all(
    ["53300", "57P01", "57P02", "57P03"].map((sqlstate) =>
      checkNotCounted(sqlstate, afterMd5((peer) => refuse(peer, sqlstate, "not now")), (i) => `guess ${i}`)
    ),
  );
});

Deno.test("A backend that has signed for the password may fail afterwards as it likes", async () => {
  const ends: [how: string, end: BackendScript][] = [
    ["closes", close],
    ["refuses as PgBouncer does", (peer) => refuse(peer, "08P01", "server login has been failing")],
  ];
  await Promise.all(ends.map(([how, end]) => {
    const script = afterProof(async (peer, signature) => {
      assert.ok(signature !== null, "the right password was not taken for right");
      await peer.send(encodeAuthentication({ kind: "sasl_final", data: signature }));
      await end(peer);
    });
    return checkNotCounted(how, script, () => "secret");
  }));
});

Deno.test("A pool whose logins a restart of the backend cuts off gets in afterwards", async () => {
  const restart = Promise.withResolvers<void>();
  let cutOff = 0;
  const script = afterProof(async (peer, signature) => {
    if (cutOff < POOL) {
      if (++cutOff === POOL) restart.resolve();
      await restart.promise;
      return peer.end();
    }
    await peer.send(encodeAuthentication({ kind: "sasl_final", data: signature! }));
    await peer.send(bytesOf(encodeAuthentication({ kind: "ok" }), READY));
    await peer.closed();
  });
  await using tested = await start(script);
  const openAll = () =>
    Promise.all(Array.from({ length: POOL }, async () => {
      await using client = await connectRawTls(tested.proxy.ports[0]!);
      await answer(client, "secret");
      const { type } = await readMessage(client);
      client.end();
      return type;
    }));
  assert.deepEqual(new Set(await openAll()), new Set(["E"]));
  assert.deepEqual(new Set(await openAll()), new Set(["R"]));
});

Deno.test("In scram mode pgtls says what is wrong, whatever becomes of the backend", async () => {
  const auth_file = `"alice" "${formatVerifier(verifier)}"\n`;
  await using tested = await start(afterProof(close), { mode: "scram", auth_file });
  const { proxy } = tested;
  const attempt = async (password: string) => {
    await using client = await connectRawTls(proxy.ports[0]!);
    await logIn(client, { password });
    await client.readAll();
  };
  await Promise.all(Array.from({ length: 10 }, () => attempt("secret")));
  await checkOpen(proxy);
  // Those that are turned away are told so in place of the exchange.
  for (let round = 0; round < 3; round++) {
    await Promise.allSettled(Array.from({ length: 11 }, (_, i) => attempt(`guess ${round} ${i}`)));
  }
  assert.ok(reasonsIn(proxy).includes("auth_limited"));
});

Deno.test("PostgreSQL that is full says so before it hears of a password, or once it was right", async () => {
  const settings = { max_connections: "4", superuser_reserved_connections: "0", max_wal_senders: "0" };
  await using server = await startTlsPostgres({ method: "scram-sha-256", settings });
  const backend = { address: `127.0.0.1:${server.port}`, root_ca: server.ca.certPem };
  await using proxy = await startTestProxy({
    listener: listenerKeys(leaf),
    backend,
    auth: { mode: "password" },
  });
  const logInAs = async (client: PeerStream) => {
    await client.send(startupOf("alice"));
    const first = await readMessage(client);
    if (first.type === "E") return "refused";
    await client.send(encodePasswordMessage(bytesOf("secret")));
    return (await readMessage(client)).type === "R" ? "in" : "refused";
  };
  await server.query("ALTER ROLE alice CONNECTION LIMIT 0");
  for (let i = 0; i < 11; i++) {
    await using client = await connectRawTls(proxy.ports[0]!);
    assert.equal(await logInAs(client), "in");
    assert.match(new TextDecoder().decode(await client.readAll()), /too many connections for role/);
    client.end();
  }
  await server.query("ALTER ROLE alice CONNECTION LIMIT -1");
  await using held = new AsyncDisposableStack();
  const outcomes = new Set<string>();
  for (let i = 0; i < 8; i++) {
    const client = held.use(await connectRawTls(proxy.ports[0]!));
    outcomes.add(await logInAs(client));
  }
  assert.deepEqual(outcomes, new Set(["in", "refused"]));
  await checkOpen(proxy);
});

/** Takes whatever comes for the proof, and ends the login. */
type End = (peer: PeerStream, signature: Uint8Array | null) => Promise<void>;

function close(peer: PeerStream): Promise<void> {
  return Promise.resolve(peer.end());
}

function silence(): Promise<void> {
  return Promise.resolve();
}

function afterMd5(end: BackendScript): BackendScript {
  return async (peer) => {
    await peer.send(MD5);
    await readMessage(peer);
    await end(peer);
  };
}

/** `signature` is the server's for a right proof. */
function afterProof(end: End): BackendScript {
  return async (peer) => {
    const scram = await offerScram(peer);
    const proven = scram.final(decodeSaslResponse(await readMessage(peer)));
    await end(peer, proven && proven.serverFinal);
  };
}

/** Up to the challenge. */
async function offerScram(peer: PeerStream): Promise<ScramServer> {
  const scram = new ScramServer({ verifier, nonce: makeNonce(), endPointHash: null, hashing: sha256 });
  await peer.send(encodeAuthentication({ kind: "sasl", mechanisms: scram.mechanisms }));
  const { mechanism, data } = decodeSaslInitialResponse(await readMessage(peer));
  await peer.send(encodeAuthentication({ kind: "sasl_continue", data: scram.first(mechanism, data!) }));
  return scram;
}

async function refuse(peer: PeerStream, sqlstate: string, message: string): Promise<void> {
  await peer.send(encodeErrorResponse({ severity: "FATAL", sqlstate, message }));
  peer.end();
}

async function checkNotCounted(
  how: string,
  script: BackendScript,
  passwordOf: (i: number) => string,
): Promise<void> {
  await using tested = await start(script);
  await tryPasswords(tested.proxy, passwordOf);
  await checkOpen(tested.proxy, how);
}

/** A backend in TLS that does this after the StartupMessage, and pgtls in front. */
async function start(script: BackendScript, auth: Record<string, unknown> = { mode: "password" }) {
  await using stack = new AsyncDisposableStack();
  const backend = stack.use(
    await startFakeBackend(async (tcp) => {
      const peer = await grantTls(tcp, leaf);
      await readPacket(peer);
      await script(peer);
    }),
  );
  const address = { address: `127.0.0.1:${backend.port}`, root_ca: ca.certPem };
  const proxy = stack.use(await startTestProxy({ listener: listenerKeys(leaf), backend: address, auth }));
  const moved = stack.move();
  return { proxy, [Symbol.asyncDispose]: () => moved.disposeAsync() };
}

/** All at once. */
async function tryPasswords(proxy: TestProxy, passwordOf: (i: number) => string, length = 10): Promise<void> {
  await Promise.all(Array.from({ length }, async (_, i) => {
    await using client = await connectRawTls(proxy.ports[0]!);
    await answer(client, passwordOf(i));
    await client.readAll();
  }));
}

async function answer(client: PeerStream, password: string): Promise<void> {
  await client.send(startupOf("alice"));
  await readAuthentication(client);
  await client.send(encodePasswordMessage(bytesOf(password)));
}

/** The next guess is turned away, before the backend is dialled for it; one more in six seconds may not be. */
async function checkBlocked(proxy: TestProxy, how?: string): Promise<void> {
  for (let i = 0; i < 10; i++) {
    await using client = await connectRawTls(proxy.ports[0]!);
    await client.send(startupOf("alice"));
    const { type } = await readMessage(client);
    if (type === "E") return assert.equal(reasonsIn(proxy).at(-1), "auth_limited", how);
    await client.send(encodePasswordMessage(bytesOf(`another guess ${i}`)));
    await client.readAll();
  }
  assert.fail(`${how}: nobody was turned away`);
}

async function checkOpen(proxy: TestProxy, how?: string): Promise<void> {
  await using client = await connectRawTls(proxy.ports[0]!);
  await client.send(startupOf("alice"));
  await readMessage(client);
  assert.ok(!reasonsIn(proxy).includes("auth_limited"), how);
}

/** Why logins have failed so far. */
function reasonsIn(proxy: TestProxy): string[] {
  return proxy.events.filter(isEvent("authentication.failed")).map(({ reason }) => reason);
}

/** More than may be wrong. */
const POOL = 30;

const MD5 = encodeAuthentication({ kind: "md5_password", salt: bytesOf("salt") });
