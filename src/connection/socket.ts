/** Promise edges over node sockets, plaintext and TLS alike. */

import type { Socket } from "node:net";
import type { Address } from "../config/types.ts";
import { StageError } from "../errors.ts";

/**
 * The next bytes from `socket`, at most `limit` of them (the others stay in it), or `null` at its end.
 * At most one reader at a time.
 *
 * @throws The socket's error; the reason of `signal` when that comes first.
 */
export function readSome(socket: Socket, limit: number, signal: AbortSignal): Promise<Uint8Array | null> {
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void) => {
      socket.removeListener("readable", onReadable);
      socket.removeListener("end", onEnd);
      socket.removeListener("error", onError);
      socket.removeListener("close", onEnd);
      signal.removeEventListener("abort", onAbort);
      finish();
    };
    const onReadable = () => {
      const chunk: Uint8Array | null = socket.read(Math.min(limit, socket.readableLength));
      if (chunk !== null) settle(() => resolve(chunk));
    };
    const onEnd = () => settle(() => resolve(null));
    const onError = (error: Error) => settle(() => reject(error));
    const onAbort = () => settle(() => reject(signal.reason));
    if (signal.aborted) return reject(signal.reason);
    if (socket.errored) return reject(socket.errored);
    if (socket.destroyed || socket.readableEnded) return resolve(null);
    // "readable" may be over: of bytes that stand in the socket already it says nothing.
    if (socket.readableLength > 0) return resolve(socket.read(Math.min(limit, socket.readableLength)));
    socket.on("readable", onReadable);
    socket.on("end", onEnd);
    socket.on("error", onError);
    socket.on("close", onEnd);
    signal.addEventListener("abort", onAbort);
  });
}

/**
 * As {@linkcode readSome}, from a client that has not begun its session: its reset is no fault of ours.
 *
 * @throws {StageError} `client_lost`; the reason of `signal` when that comes first.
 */
export async function readClient(
  socket: Socket,
  limit: number,
  signal: AbortSignal,
): Promise<Uint8Array | null> {
  try {
    return await readSome(socket, limit, signal);
  } catch (error) {
    if (signal.aborted || !(error instanceof Error)) throw error;
    throw new StageError("client_lost", `Client dropped the connection: ${error.message}`, { cause: error });
  }
}

/**
 * Says `lastWords` and ends the connection so that the peer can read them: whatever it still sends is read and
 * dropped (unread bytes would turn the close into a reset that destroys the message), for a bounded time.
 */
export function closeGracefully(socket: Socket, lastWords: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) return resolve();
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once("close", () => {
      clearTimeout(timer);
      resolve();
    });
    socket.on("error", () => socket.destroy());
    socket.once("end", () => socket.destroy());
    socket.resume();
    socket.end(lastWords);
    // Its end may have been seen before we began to listen.
    if (socket.readableEnded) socket.once("finish", () => socket.destroy());
  });
}

/** Listens to errors that are dealt with elsewhere: an error nobody listens to would end the process. */
export function ignore(): void {}

/** An address as logs show it: `address:port`, or the path of a unix socket. */
export function describeAddress(address: Address): string {
  return address.kind === "unix" ? address.path : formatAddress(address.host, address.port);
}

/** `address:port` as logs show it, IPv6 in brackets. */
export function formatAddress(address: string | undefined, port: number | undefined): string {
  if (address === undefined || port === undefined) return "unknown";
  // An IPv4 client of a socket bound to [::] is an IPv4 client.
  if (MAPPED_IPV4.test(address)) return `${address.slice("::ffff:".length)}:${port}`;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/**
 * Silence after which the system asks whether the other side is still there: shorter than the 350 s and 4 min after
 * which cloud load balancers and NAT forget a connection. How often and how long it asks is the system's to say
 * (net.ipv4.tcp_keepalive_intvl and _probes, 75 s and 9 times by default): the runtime has no way to set it.
 */
export const KEEP_ALIVE_MS = 60_000;

const MAPPED_IPV4 = /^::ffff:\d+\.\d+\.\d+\.\d+$/i;

// Long enough for a client a satellite hop away to read one line; short enough that refusals do not pile up.
const LINGER_MS = 3_000;
