/** Two ends of a loopback connection: one as the code under test gets it, one held by the test. */
import { type AddressInfo, createServer, type Socket } from "node:net";
import { connectRaw } from "../support/raw_client.ts";
import type { PeerStream } from "../support/peer_stream.ts";

/** A connected pair. Dispose of it with `await using`. */
export interface SocketPair extends AsyncDisposable {
  /** Made as the listener makes them: half-open allowed, paused, errors heard. */
  readonly socket: Socket;
  readonly peer: PeerStream;
}

/** Connects a pair over 127.0.0.1. */
export async function connectPair(): Promise<SocketPair> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  const accepted = new Promise<Socket>((resolve) => server.once("connection", resolve));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const peer = await connectRaw((server.address() as AddressInfo).port);
  const socket = await accepted;
  socket.on("error", () => {});
  server.close();
  return {
    socket,
    peer,
    async [Symbol.asyncDispose]() {
      socket.destroy();
      await peer[Symbol.asyncDispose]();
    },
  };
}
