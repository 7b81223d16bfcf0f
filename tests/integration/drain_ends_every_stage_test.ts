/** Wherever a connection is when a drain begins, it ends, and the client reads why wherever it can read anything. */
import assert from "node:assert/strict";
import { bytesOf, SSL_REQUEST } from "../wire/bytes.ts";
import { closingLines, eventually, until } from "../support/closing_lines.ts";
import { readPacket, startFakeBackend } from "../support/fake_backend.ts";
import type { PeerStream } from "../support/peer_stream.ts";
import { isEvent, type TestProxy } from "../support/proxy.ts";
import { connectRaw, connectRawTls, readError, startupMessage } from "../support/raw_client.ts";
import { startProxyTo } from "../support/two_legs.ts";

/** AuthenticationCleartextPassword. */
const PASSWORD_REQUEST = bytesOf("R\0\0\0\x08\0\0\0\x03");

Deno.test("a drain ends a client in the TLS handshake, one without a StartupMessage, and one being dialled for", async () => {
  // Never answers SSLRequest: the backend is being dialled until connect_timeout.
  await using backend = await startFakeBackend(() => Promise.resolve());
  await using proxy = await startProxyTo(backend.port, "TLS", { backend: { connect_timeout: "1h" } });
  await using inHandshake = await connectRaw(proxy.ports[0]!);
  await inHandshake.send(SSL_REQUEST);
  assert.deepEqual(await inHandshake.read(1), bytesOf("S"));
  await using secured = await connectRawTls(proxy.ports[0]!);
  await using dialling = await connectRawTls(proxy.ports[0]!);
  await dialling.send(startupMessage());
  await until(() => backend.accepted === 1, "the backend to be dialled");

  const drained = proxy.drain(4_000);
  assert.equal((await inHandshake.readAll()).length, 0);
  inHandshake.end();
  assert.equal((await readError(secured)).sqlstate, "57P03");
  assert.equal((await readError(dialling)).sqlstate, "57P03");
  assert.equal(await eventually(drained, "the drain"), 1);
  assert.deepEqual((await closingLines(proxy)).map(({ reason }) => reason), DRAINED.slice(0, 3));
});

Deno.test("a drain lets a client that is logging in finish, and its first query too", async () => {
  const asked = Promise.withResolvers<void>();
  await using backend = await startFakeBackend(async (peer) => {
    await readPacket(peer);
    await peer.send(PASSWORD_REQUEST);
    asked.resolve();
    await peer.read("p\0\0\0\x08abc\0".length);
    await peer.send(bytesOf("R\0\0\0\x08\0\0\0\0", "Z\0\0\0\x05I"));
    await peer.read("Q\0\0\0\x06;\0".length);
    await peer.send(bytesOf("I\0\0\0\x04", "Z\0\0\0\x05I"));
  });
  await using proxy = await startProxyTo(backend.port, "clear");
  await using client = await connectRawTls(proxy.ports[0]!);
  await client.send(startupMessage());
  await client.read(PASSWORD_REQUEST.length);
  await eventually(asked.promise, "the password request");
  const drained = proxy.drain(60_000);
  await proxy.waitFor(isEvent("server.draining"));
  await client.send(bytesOf("p\0\0\0\x08abc\0"));
  await client.read(15);
  await client.send(bytesOf("Q\0\0\0\x06;\0"));
  await client.read(11);
  assert.equal((await readError(client)).sqlstate, "57P01");
  assert.equal(await eventually(drained, "the drain"), 0);
});

Deno.test("a drain cuts a client that never answers the password request when its time is over", async () => {
  await using backend = await startFakeBackend(async (peer) => {
    await readPacket(peer);
    await peer.send(PASSWORD_REQUEST);
  });
  await using proxy = await startProxyTo(backend.port, "clear");
  await using client = await connectRawTls(proxy.ports[0]!);
  await client.send(startupMessage());
  await client.read(PASSWORD_REQUEST.length);
  assert.equal(await proxy.drain(200), 1);
  await client.closed();
});

Deno.test("a drain ends three hundred clients in all stages at once", async () => {
  await using backend = await startFakeBackend(async (peer) => {
    await readPacket(peer);
    await peer.send(PASSWORD_REQUEST);
  });
  await using proxy = await startProxyTo(backend.port, "clear");
  const clients = await Promise.all(Array.from({ length: 300 }, (_, i) => clientInStage(proxy, i % 3)));
  assert.equal(await proxy.drain(3_000), 100);
  assert.equal(proxy.connections(), 0);
  const lines = await closingLines(proxy);
  assert.equal(lines.length, 300);
  assert.deepEqual([...new Set(lines.map(({ reason }) => reason))], ["server_draining"]);
  for (const client of clients) await client[Symbol.asyncDispose]();
});

/** Connected, told `S`, or asked for a password. */
async function clientInStage(proxy: TestProxy, stage: number): Promise<PeerStream> {
  const client = await connectRaw(proxy.ports[0]!);
  if (stage === 1) {
    await client.send(SSL_REQUEST);
    await client.read(1);
  }
  if (stage === 2) {
    await client.send(startupMessage());
    await client.read(PASSWORD_REQUEST.length);
  }
  return client;
}

const DRAINED = ["server_draining", "server_draining", "server_draining"];
