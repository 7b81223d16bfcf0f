/** Every way a client may begin, however its bytes are cut: the backend gets all of them, in order, and nothing else. */
import assert from "node:assert/strict";
import { bytesOf, GSSENC_REQUEST, oneByOne, packetOf, PROTOCOL_3_0, SSL_REQUEST } from "../wire/bytes.ts";
import { eventually, onlyClosingLine } from "../support/closing_lines.ts";
import { startFakeBackend } from "../support/fake_backend.ts";
import { type PeerStream, textOf } from "../support/peer_stream.ts";
import { makeCa } from "../support/pki.ts";
import { listenerKeys, startTestProxy } from "../support/proxy.ts";
import { connectRaw, connectRawTls, query, startupMessage, TERMINATE } from "../support/raw_client.ts";

const leaf = makeCa({ name: "proxy CA" }).issue({
  name: "localhost",
  purpose: "server",
  sans: ["localhost"],
});

const BACKEND_ANSWER = bytesOf("R\0\0\0\x08\0\0\0\0", "whatever the backend says");

/** How a client may get to where it sends its StartupMessage, and the bytes in clear that took. */
const BEGINNINGS: Readonly<Record<string, (port: number) => Promise<PeerStream>>> = {
  "requested TLS": (port) => connectRawTls(port),
  "requested TLS with ALPN": (port) => connectRawTls(port, { alpn: ["postgresql"] }),
  "GSSENCRequest, then SSLRequest": async (port) => {
    const client = await connectRaw(port);
    await ask(client, GSSENC_REQUEST, "N");
    await ask(client, SSL_REQUEST, "S");
    return await client.startTls();
  },
  "SSLRequest in single bytes": async (port) => {
    const client = await connectRaw(port);
    for (const byte of oneByOne(SSL_REQUEST)) await client.send(byte);
    assert.equal(textOf(await client.read(1)), "S");
    return await client.startTls();
  },
  "direct TLS": async (port) => (await connectRaw(port)).startTls({ alpn: ["postgresql"] }),
  "direct TLS with two ALPN protocols": async (port) =>
    (await connectRaw(port)).startTls({ alpn: ["h2", "postgresql"] }),
  "in clear": connectRaw,
  "in clear after GSSENCRequest": async (port) => {
    const client = await connectRaw(port);
    await ask(client, GSSENC_REQUEST, "N");
    return client;
  },
};

/** What the client sends from its StartupMessage on, in which pieces. */
const STREAMS: Readonly<Record<string, readonly Uint8Array[]>> = {
  "a StartupMessage": [startupMessage()],
  "a StartupMessage in single bytes": oneByOne(startupMessage()),
  "a StartupMessage of 10,004 bytes": [startupMessage(10_004)],
  "a StartupMessage of 10,004 bytes in two pieces": [
    startupMessage(10_004).subarray(0, 10_003),
    startupMessage(10_004).subarray(10_003),
  ],
  "protocol 3.2": [packetOf("\0\x03\0\x02", "user\0alice\0\0")],
  "protocol 3.9999 with an option of the future": [
    packetOf("\0\x03\x27\x0f", "user\0alice\0_pq_.new\x001\0\0"),
  ],
  "names that are not UTF-8": [packetOf(PROTOCOL_3_0, "user\0\xff\xfe\0\0")],
  "a query right behind it": [bytesOf(startupMessage(), query("SELECT 1"), TERMINATE)],
  "40,000 bytes right behind it": [bytesOf(startupMessage(), query("x".repeat(40_000)), TERMINATE)],
  "40,000 bytes right behind one of 10,004": [bytesOf(startupMessage(10_004), query("y".repeat(40_000)))],
  "a query right behind it, cut inside the StartupMessage": [
    startupMessage().subarray(0, 9),
    bytesOf(startupMessage().subarray(9), query("SELECT 2")),
    TERMINATE,
  ],
};

for (const [beginning, connect] of Object.entries(BEGINNINGS)) {
  Deno.test(`a client that begins with ${beginning} is heard byte for byte`, async (t) => {
    for (const [name, pieces] of Object.entries(STREAMS)) {
      await t.step(name, () => checkStream(connect, pieces));
    }
  });
}

async function checkStream(connect: (port: number) => Promise<PeerStream>, pieces: readonly Uint8Array[]) {
  const heard = Promise.withResolvers<Uint8Array>();
  await using backend = await startFakeBackend(async (peer) => {
    heard.resolve(await peer.readAll());
    await peer.send(BACKEND_ANSWER);
    peer.end();
  });
  await using proxy = await startTestProxy({
    listener: { ...listenerKeys(leaf), unsafe_allow_plaintext: true },
    backend: { address: `127.0.0.1:${backend.port}`, tls_enabled: false },
  });
  await using client = await connect(proxy.ports[0]!);
  const inClear = client.received;
  for (const piece of pieces) await client.send(piece);
  client.end();
  assert.deepEqual(await client.readAll(), BACKEND_ANSWER);
  assert.deepEqual(await eventually(heard.promise, "the client's end"), bytesOf(...pieces));
  const { reason, bytes_from_client, bytes_from_backend } = await onlyClosingLine(proxy);
  assert.equal(reason, "client_closed");
  // In clear every byte counts, of TLS only what is inside it; an `N` answered a GSSENCRequest.
  assert.equal(bytes_from_client, bytesOf(...pieces).length + inClear * GSSENC_REQUEST.length);
  assert.equal(bytes_from_backend, BACKEND_ANSWER.length);
}

async function ask(client: PeerStream, request: Uint8Array, answer: string): Promise<void> {
  await client.send(request);
  assert.equal(textOf(await client.read(1)), answer);
}
