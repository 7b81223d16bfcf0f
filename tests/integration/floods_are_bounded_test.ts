/** Whoever sends without end, and be it what TLS does not count as content, costs pgtls a bounded amount of memory. */
import assert from "node:assert/strict";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { eventually, onlyClosingLine } from "../support/closing_lines.ts";
import { serve, startFakeBackend, WELCOME } from "../support/fake_backend.ts";
import type { PeerStream } from "../support/peer_stream.ts";
import { connectRaw, connectRawTls, readError, startupMessage } from "../support/raw_client.ts";
import { ALL_LEGS, ca, connectOver, leaf, routeTo, startProxyTo } from "../support/two_legs.ts";
import { type Leaf, makeCa } from "../support/pki.ts";
import { listenerKeys, startTestProxy } from "../support/proxy.ts";
import type { Tls12 } from "../support/tls12.ts";
import { acceptTls12, connectTls12, type Credentials } from "../support/tls12_peers.ts";
import { bytesOf, CANCEL_REQUEST, SSL_REQUEST } from "../wire/bytes.ts";

/** A TLS handshake record that begins a message of 65,535 bytes, more than rustls holds, and one that goes on and on. */
const FIRST_RECORD = handshakeRecord(Uint8Array.of(1, 0, 0xff, 0xff, 3, 3));
const NEXT_RECORD = handshakeRecord(new Uint8Array(16_000));
const FLOOD_BYTES = 256 << 20;
/** Socket buffers on both sides, and what comes within the interval between two looks. */
const TAKEN_BYTES = 64 << 20;

for (const how of ["requested", "direct"] as const) {
  Deno.test(`a client whose handshake does not end is cut off, TLS being ${how}`, async () => {
    await using backend = await startFakeBackend(() => Promise.resolve());
    await using proxy = await startProxyTo(backend.port, "clear");
    await using client = await connectRaw(proxy.ports[0]!);
    if (how === "requested") {
      await client.send(SSL_REQUEST);
      await client.read(1);
    }
    const taken = await flood(client);
    assert.ok(taken < TAKEN_BYTES, `${taken} bytes were taken`);
    const line = await onlyClosingLine(proxy);
    assert.equal(line.reason, "handshake_failed");
    assert.match(line.detail!, /sent more than 262144 bytes without completing it/);
    assert.equal(backend.accepted, 0);
  });
}

Deno.test("a backend whose handshake does not end is cut off", async () => {
  const taken = Promise.withResolvers<number>();
  await using backend = await startFakeBackend(async (tcp) => {
    await tcp.read(SSL_REQUEST.length);
    await tcp.send(bytesOf("S"));
    // The ClientHello: before it, anything would be stuffed bytes.
    await tcp.readSome();
    await tcp.send(handshakeRecord(Uint8Array.of(2, 0, 0xff, 0xff, 3, 3)));
    taken.resolve(await flood(tcp, { chunk: handshakeRecord(new Uint8Array(16_000).fill(1)) }));
  });
  await using proxy = await startProxyTo(backend.port, "TLS");
  await using client = await connectRawTls(proxy.ports[0]!);
  await client.send(startupMessage());
  assert.equal((await readError(client)).sqlstate, "08001");
  assert.ok(await eventually(taken.promise, "the flood to end") < TAKEN_BYTES);
  const line = await onlyClosingLine(proxy);
  assert.equal(line.reason, "backend_tls_refused");
  assert.match(line.detail!, /sent more than 262144 bytes without completing it/);
});

for (const stage of ["before its StartupMessage", "in its session", "while it is refused"] as const) {
  Deno.test(`a client whose TLS has no content is cut off: ${stage}`, async () => {
    await using backend = await startFakeBackend(serve);
    const clientCa = stage === "while it is refused" ? makeCa({ name: "another CA" }) : ca;
    const route = routeTo(backend.port, "clear");
    await using proxy = await startTestProxy({ ...route, listener: listenerKeys(leaf, clientCa) });
    await using client = await connectRaw(proxy.ports[0]!);
    await client.send(SSL_REQUEST);
    await client.read(1);
    const tls = await connectTls12(client, credentials(ca.issue({ name: "alice", purpose: "client" })));
    if (stage === "in its session") {
      await tls.sendData(startupMessage());
      assert.equal((await tls.receiveData()).length, WELCOME.length);
    }
    assert.ok(await floodInside(tls, client) < TAKEN_BYTES);
    const { reason, detail } = await onlyClosingLine(proxy);
    if (stage === "while it is refused") return assert.equal(reason, "peer_rejected");
    assert.equal(reason, "client_lost");
    assert.match(detail!, /sent more than 262144 bytes of TLS without content/);
  });
}

Deno.test("a backend whose TLS has no content is cut off", async () => {
  const taken = Promise.withResolvers<number>();
  await using backend = await startFakeBackend(async (tcp) => {
    await tcp.read(SSL_REQUEST.length);
    await tcp.send(bytesOf("S"));
    const tls = await acceptTls12(tcp, credentials(leaf));
    await tls.receiveData();
    await tls.sendData(WELCOME);
    taken.resolve(await floodInside(tls, tcp));
  });
  await using proxy = await startProxyTo(backend.port, "TLS");
  await using client = await connectRawTls(proxy.ports[0]!);
  await client.send(startupMessage());
  await client.read(WELCOME.length);
  assert.equal((await readError(client)).sqlstate, "08006");
  assert.ok(await eventually(taken.promise, "the flood to end") < TAKEN_BYTES);
  assert.match((await onlyClosingLine(proxy)).detail!, /sent more than 262144 bytes of TLS without content/);
});

for (const legs of ALL_LEGS) {
  Deno.test(`a client that floods before the backend has answered is held back: ${legs.name}`, async () => {
    // It accepts, and says nothing.
    await using backend = await startFakeBackend(() => Promise.resolve());
    await using proxy = await startTestProxy(
      routeTo(backend.port, legs.backend, { backend: { connect_timeout: "3s" } }),
    );
    await using client = await connectOver(legs.client, proxy);
    await client.send(startupMessage());
    const taken = await flood(client, { chunk: new Uint8Array(64 << 10), stallMs: HELD_BACK_MS });
    // A plaintext backend that does not read takes what its socket buffers hold.
    assert.ok(taken < TAKEN_BYTES, `${taken} bytes were taken`);
    if (legs.backend === "TLS") assert.equal((await onlyClosingLine(proxy)).reason, "backend_timeout");
  });
}

Deno.test("a route forwards 64 CancelRequests at a time, and closes the others", async () => {
  const mayClose = Promise.withResolvers<void>();
  await using backend = await startFakeBackend(async (tcp) => {
    await mayClose.promise;
    tcp.end();
  });
  await using proxy = await startProxyTo(backend.port, "clear");
  const clients: PeerStream[] = [];
  for (let i = 0; i < 80; i++) {
    clients.push(await connectRaw(proxy.ports[0]!));
    await clients[i]!.send(CANCEL_REQUEST);
  }
  const refused = await proxy.closed(16);
  assert.deepEqual(new Set(refused.map(({ reason }) => reason)), new Set(["limit_reached"]));
  mayClose.resolve();
  const all = await proxy.closed(80);
  assert.equal(all.filter(({ reason }) => reason === "cancel_forwarded").length, 64);
  assert.equal(backend.accepted, 64);
  for (const client of clients) await client[Symbol.asyncDispose]();
});

/** Sends until the flood is over, the other side has closed, or nothing has been taken for a while. */
async function flood(
  peer: PeerStream,
  { chunk = NEXT_RECORD, stallMs = CUT_OFF_MS }: { chunk?: Uint8Array; stallMs?: number } = {},
): Promise<number> {
  let taken = 0;
  if (chunk === NEXT_RECORD) await peer.send(FIRST_RECORD);
  while (taken < FLOOD_BYTES) {
    if (await hasStalled(peer.send(chunk), stallMs) || peer.isClosed) break;
    taken += chunk.length;
  }
  return taken;
}

/** As {@linkcode flood}, by one encrypted handshake message that never becomes whole. */
async function floodInside(tls: Tls12, peer: PeerStream): Promise<number> {
  await tls.sendPiece(Uint8Array.of(1, 0, 0xff, 0xff, 3, 3));
  const piece = new Uint8Array(16_000);
  let taken = 0;
  while (taken < FLOOD_BYTES) {
    if (await hasStalled(tls.sendPiece(piece), CUT_OFF_MS) || peer.isClosed) break;
    taken += piece.length;
  }
  return taken;
}

function credentials(issued: Leaf): Credentials {
  return { chain: [new X509Certificate(issued.chainPem).raw], signWith: createPrivateKey(issued.keyPem) };
}

/** Whether nothing has come of `sending` for so long. */
async function hasStalled(sending: Promise<void>, stallMs: number): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => late.resolve(true), stallMs);
  try {
    return await Promise.race([sending.then(() => false), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function handshakeRecord(content: Uint8Array): Uint8Array {
  return bytesOf(Uint8Array.of(0x16, 3, 3, content.length >> 8, content.length & 0xff), content);
}

/** How long nothing is taken where that is the claim. */
const HELD_BACK_MS = 1_000;

/** Only a guard: these are to be cut off while they send, however busy the machine is. */
const CUT_OFF_MS = 20_000;
