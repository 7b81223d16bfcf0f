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
  /**
   * Accepts who is waiting, then stops accepting; open connections live on.
   *
   * The kernel resets connections that it has completed and nobody has accepted, so they are fetched first. A client
   * that comes between the last accept and the close is still reset: no system call does both.
   */
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
  let accepted = 0;
  const onConnection = (socket: Socket) => {
    accepted++;
    serve(accept(socket, endpoint));
  };
  let server = await bind({ host, port }, onConnection);
  const address = addressOf(server, host);
  return {
    address,
    close: async () => {
      await emptyQueue(() => accepted);
      await close(server);
    },
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

/** Waits until a look at the accept queue has found nobody; for a bounded time, for new clients may never stop. */
async function emptyQueue(accepted: () => number): Promise<void> {
  const end = performance.now() + EMPTY_QUEUE_MS;
  let before: number;
  do {
    before = accepted();
    // A timer alone does not do: only when it has nothing else to do the runtime asks the kernel what is new.
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    // Behind the accepts of this turn of the event loop, so that as little time as can be passes until the close.
    await new Promise((resolve) => setImmediate(resolve));
  } while (accepted() !== before && performance.now() < end);
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

// Time for the runtime to look at its sockets; one turn of the event loop, were it not for its phases.
const LOOK_MS = 5;

// A drain does not wait longer for a pause between new clients.
const EMPTY_QUEUE_MS = 250;
