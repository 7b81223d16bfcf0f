/** A relay in front of a server that cuts a client's ClientHello into pieces; everything else passes as it is. */
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { bytesOf, SSL_REQUEST } from "../wire/bytes.ts";
import { contentOf, toRecords } from "./client_hello.ts";

/** How the hello is cut. */
export interface Cut {
  /** Bytes in a TLS record; as the client made them unless given. */
  readonly record?: number;
  /** Bytes in a TCP segment; all at once unless given. */
  readonly segment?: number;
}

/** Starts it on a free port of 127.0.0.1. */
export async function startHelloCutter(target: number, cut: Cut) {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const proxy = connect({ host: "127.0.0.1", port: target, noDelay: true, allowHalfOpen: true });
    for (const socket of [client, proxy]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => [client, proxy].forEach((each) => each.destroy()));
    }
    proxy.pipe(client);
    let held = bytesOf();
    const onData = async (chunk: Uint8Array) => {
      held = bytesOf(held, chunk);
      if (isSslRequest(held)) {
        proxy.write(held);
        held = bytesOf();
        return;
      }
      const hello = contentOf(held);
      if (hello === null) return;
      client.removeListener("data", onData);
      client.pause();
      await sendInSegments(
        proxy,
        cut.record === undefined ? held : toRecords(hello, cut.record),
        cut.segment,
      );
      client.pipe(proxy);
    };
    client.on("data", onData);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function sendInSegments(socket: Socket, bytes: Uint8Array, size = bytes.length): Promise<void> {
  for (let at = 0; at < bytes.length; at += size) {
    await new Promise<void>((resolve) => socket.write(bytes.slice(at, at + size), () => resolve()));
    // Two turns of the event loop, so that segments are read one by one.
    if (size < bytes.length) await new Promise((resolve) => setTimeout(resolve, 0));
  }
}

function isSslRequest(bytes: Uint8Array): boolean {
  return bytes.length === SSL_REQUEST.length && bytes.every((byte, i) => byte === SSL_REQUEST[i]);
}
