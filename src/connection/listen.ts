/** Stage 1: bind an address and accept. Gives `Accepted`. */

import { createServer, type Server, type Socket } from "node:net";
import type { Endpoint } from "./endpoint.ts";
import { formatAddress, ignore } from "./socket.ts";

/** A TCP connection nobody has spoken on yet. */
export interface Accepted {
  /** Short random ID, unique enough to find one connection in a day's log. */
  readonly id: string;
  readonly endpoint: Endpoint;
  readonly socket: Socket;
  /** `address:port` of the client. */
  readonly client: string;
  /** `performance.now()` of the accept, in milliseconds. */
  readonly acceptedAt: number;
}

/** A bound listener. */
export interface Listener {
  /** The address bound, with the port the system chose where the configuration says 0. */
  readonly address: { readonly host: string; readonly port: number };
  /** Stops accepting; open connections live on. */
  close(): Promise<void>;
  /**
   * Closes and binds again; open connections live on.
   *
   * @throws The system's error; it may be called again.
   */
  renew(): Promise<void>;
}

/**
 * Binds the endpoint's address.
 *
 * @throws The system's error (`EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`), with its `code`.
 */
export async function listen(endpoint: Endpoint, serve: (accepted: Accepted) => void): Promise<Listener> {
  const { host, port } = endpoint.address;
  const onConnection = (socket: Socket) => serve(accept(socket, endpoint));
  let server = await bind({ host, port }, onConnection);
  const address = addressOf(server, host);
  return {
    address,
    close: () => close(server),
    renew: async () => {
      await close(server);
      server = await bind(address, onConnection);
    },
  };
}

function bind(address: Listener["address"], onConnection: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true, keepAlive: true });
  server.on("connection", onConnection);
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ ...address, backlog: BACKLOG }, () => {
      server.removeListener("error", reject);
      // Deno reports no accept error at all; see gate.ts for the one that matters.
      server.on("error", ignore);
      resolve(server);
    });
  });
}

function accept(socket: Socket, endpoint: Endpoint): Accepted {
  // Whatever happens on the wire is somebody's to read as an event; it must never end the process.
  socket.on("error", ignore);
  return {
    id: `c-${crypto.randomUUID().slice(0, 8)}`,
    endpoint,
    socket,
    client: formatAddress(socket.remoteAddress, socket.remotePort),
    acceptedAt: performance.now(),
  };
}

function addressOf(server: Server, host: string): { host: string; port: number } {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Cannot read the bound address");
  return { host, port: address.port };
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // node:net calls back when the last connection has gone; the port is free before that.
    server.close();
    resolve();
  });
}

// What PostgreSQL asks for with max_connections = 256 or more; the kernel caps it at net.core.somaxconn.
const BACKLOG = 512;
