/** What the relay relies on in the runtime's private API: each of these failing means that bytes would be lost. */
import assert from "node:assert/strict";
import { connect, createServer, type Socket } from "node:net";
import { isTls, nativeHandle, type StreamHandle, wasAsync } from "../../src/connection/native_handle.ts";
import { TlsAcceptor } from "../../src/tls/acceptor.ts";
import { eventually } from "../support/closing_lines.ts";
import type { PeerStream } from "../support/peer_stream.ts";
import { makeCa } from "../support/pki.ts";
import { materialOf, never } from "../tls/tls_support.ts";
import { bytesOf } from "../wire/bytes.ts";
import { connectPair, type SocketPair } from "./socket_pair.ts";

const ca = makeCa({ name: "CA" });
const server = materialOf(ca.issue({ name: "localhost", purpose: "server", sans: ["localhost"] }));
const LARGE_BYTES = 8 << 20;

Deno.test("nativeHandle() knows the handles of this Deno: TCP, TLS over it, and unix sockets", async () => {
  await using pair = await connectPair();
  const handle = nativeHandle(pair.socket);
  // Missing: read ext/node of the new Deno as decision 0005 says, then widen IS_KNOWN_RUNTIME.
  assert.ok(handle !== null, `Deno ${Deno.version.deno} is not known`);
  assert.equal(isTls(handle), false);
  const { secured } = await secure(pair);
  const tls = nativeHandle(secured);
  assert.ok(tls !== null && isTls(tls));
  assert.equal(tls._nativeTcpHandle, handle);
  const unix = await connectUnix();
  assert.equal(isTls(nativeHandle(unix)!), false);
  unix.destroy();
});

Deno.test("nativeHandle() is null where a part of the handle is missing, and for a socket that is closed", async () => {
  await using pair = await connectPair();
  const { _handle } = pair.socket as Socket & { _handle?: object };
  Object.assign(_handle!, { useUserBuffer: undefined });
  assert.equal(nativeHandle(pair.socket), null);
  pair.socket.destroy();
  assert.equal(nativeHandle(pair.socket), null);
});

Deno.test("a TLS handle has copied what it was given to write, before the write is done", async () => {
  await using pair = await connectPair();
  const { secured, peer } = await secure(pair);
  const bytes = new Uint8Array(LARGE_BYTES).fill(0x61);
  const done = write(nativeHandle(secured)!, bytes);
  assert.ok(wasAsync());
  bytes.fill(0x62);
  const received = await peer.read(LARGE_BYTES);
  assert.ok(received.every((byte) => byte === 0x61));
  assert.equal(await eventually(done, "the write's end"), 0);
});

Deno.test("a TCP handle that took a write at once needs its memory no longer, and does not call back", async () => {
  await using pair = await connectPair();
  const handle = nativeHandle(pair.socket)!;
  // The first write on a socket goes on, until the runtime has heard that it is writable.
  await eventually(write(handle, bytesOf("hello, ")), "the first write's end");
  const bytes = new Uint8Array(1_000).fill(0x61);
  let calls = 0;
  assert.equal(handle.writeBuffer({ oncomplete: () => void calls++, kept: null }, bytes), 0);
  assert.equal(wasAsync(), false);
  bytes.fill(0x62);
  await pair.peer.read(7);
  assert.ok((await pair.peer.read(1_000)).every((byte) => byte === 0x61));
  assert.equal(calls, 0);
});

Deno.test("a TCP handle says when a write goes on, and calls back once the system has taken all of it", async () => {
  await using pair = await connectPair();
  const done = write(nativeHandle(pair.socket)!, new Uint8Array(LARGE_BYTES));
  assert.ok(wasAsync());
  await pair.peer.read(LARGE_BYTES);
  assert.equal(await eventually(done, "the write's end"), 0);
});

function write(handle: StreamHandle, bytes: Uint8Array): Promise<number> {
  return new Promise((resolve) => {
    assert.equal(handle.writeBuffer({ oncomplete: resolve, kept: bytes }, bytes), 0);
  });
}

/** TLS over the pair: the server's side on the socket, the client's on the peer. */
async function secure({ socket, peer }: SocketPair): Promise<{ secured: Socket; peer: PeerStream }> {
  const acceptor = new TlsAcceptor(server, { minVersion: "1.2", requestCertificate: false });
  const [secured, client] = await Promise.all([acceptor.accept(socket, never()), peer.startTls()]);
  return { secured, peer: client };
}

async function connectUnix(): Promise<Socket> {
  const dir = await Deno.makeTempDir();
  const server = createServer((socket) => socket.on("error", () => {}).resume());
  await new Promise<void>((resolve) => server.listen(`${dir}/socket`, resolve));
  const socket = connect(`${dir}/socket`);
  await new Promise((resolve) => socket.once("connect", resolve));
  server.close();
  await Deno.remove(dir, { recursive: true });
  return socket;
}
