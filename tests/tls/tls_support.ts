/** A TCP connection on 127.0.0.1 with both ends at hand. */
import type { Buffer } from "node:buffer";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { ListenerMaterial } from "../../src/tls/material.ts";
import type { Leaf } from "../support/pki.ts";

/** Both ends; disposing of it destroys them. */
export interface SocketPair extends AsyncDisposable {
  readonly client: Socket;
  /** Accepted as pgtls accepts: paused, half-open. */
  readonly server: Socket;
}

/** Connects two sockets. */
export async function socketPair(): Promise<SocketPair> {
  const accepted = Promise.withResolvers<Socket>();
  const listener = createServer({ pauseOnConnect: true, allowHalfOpen: true }, accepted.resolve);
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const { port } = listener.address() as AddressInfo;
  const client = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  client.on("error", () => {});
  const server = await accepted.promise;
  server.on("error", () => {});
  return {
    client,
    server,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => listener.close(resolve));
      client.destroy();
      server.destroy();
      await closed;
    },
  };
}

/** What an acceptor needs of a listener's material, from a certificate made a moment ago. */
export function materialOf(leaf: Leaf): ListenerMaterial {
  return {
    certPem: leaf.chainPem,
    keyPem: leaf.keyPem,
    leafDer: leaf.der,
    chainDer: [leaf.der],
    clientPolicy: { mtls: false, trust: null },
  };
}

/** A signal that aborts only to keep a test from hanging. */
export function never(): AbortSignal {
  return AbortSignal.timeout(GUARD_MS);
}

/** The first bytes that come. @throws {Error} If the stream ends without any. */
export function firstBytes(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const chunk: Buffer | null = socket.read();
      if (chunk === null) return;
      socket.removeListener("readable", look);
      resolve(chunk);
    };
    const fail = () => reject(new Error("Stream ended: expected some bytes"));
    socket.on("readable", look);
    socket.once("end", fail);
    socket.once("close", fail);
    look();
  });
}

const GUARD_MS = 60_000;
