/** A backend made of bytes: each test writes what it says, and sees what pgtls sent it. */
import assert from "node:assert/strict";
import { type AddressInfo, createServer, type Server } from "node:net";
import { bytesOf, SSL_REQUEST } from "../wire/bytes.ts";
import { PeerStream } from "./peer_stream.ts";
import type { Leaf } from "./pki.ts";

/** A listening port with a script. Dispose of it with `await using`: that fails if an assertion of the script did. */
export interface FakeBackend extends AsyncDisposable {
  readonly port: number;
  /** How many connections have come so far. */
  readonly accepted: number;
}

/** What the backend does on each connection; the connection stays open afterwards. */
export type BackendScript = (peer: PeerStream) => Promise<void>;

/** Listens on a port of 127.0.0.1, a free one unless given, and runs `script` on every connection. */
export async function startFakeBackend(script: BackendScript, at = 0): Promise<FakeBackend> {
  const peers: PeerStream[] = [];
  const failures: unknown[] = [];
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) => {
    const peer = new PeerStream(socket);
    peers.push(peer);
    // A connection cut by the other side ends the script; only what the script itself claims can fail the test.
    script(peer).catch((error) => error instanceof assert.AssertionError && failures.push(error));
  });
  const port = await listen(server, at);
  return {
    port,
    get accepted() {
      return peers.length;
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      await Promise.all(peers.map((peer) => peer[Symbol.asyncDispose]()));
      await closed;
      if (failures.length > 0) throw failures[0];
    },
  };
}

/** Reads SSLRequest, answers `S` and completes the handshake. */
export async function grantTls(peer: PeerStream, certificate: Leaf): Promise<PeerStream> {
  assert.deepEqual(await peer.read(SSL_REQUEST.length), SSL_REQUEST);
  await peer.send(bytesOf("S"));
  return await peer.acceptTls(certificate);
}

/** Reads one startup packet, whole. */
export async function readPacket(peer: PeerStream): Promise<Uint8Array> {
  const head = await peer.read(4);
  const length = new DataView(head.buffer, head.byteOffset).getUint32(0);
  return bytesOf(head, await peer.read(length - head.length));
}

/** Reads the StartupMessage and lets the client in. */
export async function admit(peer: PeerStream): Promise<void> {
  await readPacket(peer);
  await peer.send(WELCOME);
}

/** Lets the client in, and closes when it does. */
export async function serve(peer: PeerStream): Promise<void> {
  await admit(peer);
  await peer.closed();
}

function listen(server: Server, port = 0): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}

/** ReadyForQuery, status idle. */
export const READY = bytesOf("Z\0\0\0\x05I");

/** AuthenticationOk, BackendKeyData (process 4711), ReadyForQuery. */
export const WELCOME = bytesOf("R\0\0\0\x08\0\0\0\0", "K\0\0\0\x0c\0\0\x12\x67\xde\xad\xbe\xef", READY);

/** CommandComplete of a SELECT without rows. */
export const DONE = bytesOf("C\0\0\0\x0dSELECT 0\0");
