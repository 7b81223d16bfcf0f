/** Stage 1: bind an address and accept. Gives `Accepted`. */

import { createServer, type Server, type Socket } from "node:net";
import type { Address } from "../config/types.ts";
import type { Endpoint } from "./endpoint.ts";
import { formatAddress, ignore, KEEP_ALIVE_MS } from "./socket.ts";
import { removeStaleSocket } from "./unix_socket.ts";

/** A TCP connection nobody has spoken on yet. */
export interface Accepted {
  /** Short random ID, unique enough to find one connection in a day's log. */
  readonly id: string;
  readonly endpoint: Endpoint;
  readonly socket: Socket;
  /** `address:port` of the client, or `unix`; behind a load balancer as its PROXY protocol header says. */
  readonly client: string;
  /** `address:port` of the load balancer that sent such a header; `null` if none did. */
  readonly proxy: string | null;
  /** Bytes of that header, which are not the client's. */
  readonly headerBytes: number;
  /** `performance.now()` of the accept, in milliseconds. */
  readonly acceptedAt: number;
}

/** A bound listener. */
export interface Listener {
  /** The address bound, with the port the system chose where the configuration says 0. */
  readonly address: Address;
  /**
   * Accepts who is waiting, then stops accepting; open connections live on.
   *
   * The kernel resets connections that it has completed and nobody has accepted, so they are fetched first. A client
   * that comes between the last accept and the close is still reset: no system call does both.
   */
  close(): Promise<void>;
  /**
   * Closes, as `close` does, and binds again; open connections live on.
   *
   * @throws The system's error; it may be called again.
   */
  renew(): Promise<void>;
}

/** Options of {@linkcode listen}. */
export interface ListenOptions {
  /** Whether others that say so, too, may bind the same address: the kernel spreads connections over all of them. */
  readonly reusePort?: boolean;
}

/**
 * Binds the endpoint's address.
 *
 * @throws The system's error (`EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`), with its `code`.
 */
export async function listen(
  endpoint: Endpoint,
  serve: (accepted: Accepted) => void,
  options: ListenOptions = {},
): Promise<Listener> {
  let accepted = 0;
  const onConnection = (socket: Socket) => {
    accepted++;
    serve(accept(socket, endpoint));
  };
  let server = await bindAnew(endpoint.address, onConnection, options);
  const address = boundAddress(server, endpoint.address);
  let turn = Promise.resolve();
  // One after the other: of two that bind at the same time one would listen on, and nobody would close it.
  const inTurn = (work: () => Promise<void>): Promise<void> => turn = turn.then(work, work);
  const closeServer = async () => {
    await emptyQueue(() => accepted);
    await close(server);
  };
  return {
    address,
    close: () => inTurn(closeServer),
    renew: () =>
      inTurn(async () => {
        await closeServer();
        server = await bindAnew(address, onConnection, options);
      }),
  };
}

/** Binds; in the place of a socket file, too, that a process which is gone has left behind. */
async function bindAnew(
  address: Address,
  onConnection: (socket: Socket) => void,
  options: ListenOptions,
): Promise<Server> {
  try {
    return await bind(address, onConnection, options);
  } catch (error) {
    const isTaken = (error as { code?: string }).code === "EADDRINUSE";
    if (address.kind !== "unix" || !isTaken || !await removeStaleSocket(address.path)) throw error;
    return await bind(address, onConnection, options);
  }
}

function bind(
  address: Address,
  onConnection: (socket: Socket) => void,
  options: ListenOptions,
): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.on("connection", onConnection);
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    const target = address.kind === "unix"
      ? { path: address.path }
      : { host: address.host, port: address.port, ...options };
    server.listen({ ...target, backlog: BACKLOG }, () => {
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
  const isUnix = endpoint.address.kind === "unix";
  if (!isUnix) {
    // Deno takes no notice of these among the options of a server.
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
  }
  return {
    id: `c-${crypto.randomUUID().slice(0, 8)}`,
    endpoint,
    socket,
    client: isUnix ? UNIX_CLIENT : formatAddress(socket.remoteAddress, socket.remotePort),
    proxy: null,
    headerBytes: 0,
    acceptedAt: performance.now(),
  };
}

function boundAddress(server: Server, configured: Address): Address {
  if (configured.kind === "unix") return configured;
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Cannot read the bound address");
  return { ...configured, port: address.port };
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

/** What a client of a unix socket is called, which has no address. */
const UNIX_CLIENT = "unix";

// What PostgreSQL asks for with max_connections = 256 or more; the kernel caps it at net.core.somaxconn.
const BACKLOG = 512;

// Time for the runtime to look at its sockets; one turn of the event loop, were it not for its phases.
const LOOK_MS = 5;

// A drain does not wait longer for a pause between new clients.
const EMPTY_QUEUE_MS = 250;
