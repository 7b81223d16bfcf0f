/** Connects to a backend's address: a unix socket, an IP address, or a name with several of them. */

import { lookup } from "node:dns";
import { connect, isIP, type NetConnectOpts, type Socket } from "node:net";
import type { Address, TcpAddress } from "../config/types.ts";
import { StageError } from "../errors.ts";
import { formatAddress, ignore, KEEP_ALIVE_MS } from "./socket.ts";

/** What the stages that dial need of their caller. */
export interface DialOptions {
  /** Ends the attempt; see `connectDeadline`. */
  readonly signal: AbortSignal;
  /** Told of each socket as soon as it exists, so that the caller can destroy it whatever happens. */
  readonly onSocket: (socket: Socket) => void;
}

/**
 * Connects the TCP or unix socket.
 *
 * A name's addresses are tried as RFC 8305 (Happy Eyeballs) has it: in the resolver's order but with the families taking
 * turns, each a quarter of a second after the one before or as soon as that has failed, and the first to answer wins.
 * Unlike the runtime's own `autoSelectFamily`, an attempt that is slow is not given up for the next.
 *
 * @throws {StageError} `backend_unreachable`, which lists the addresses tried, or the signal's reason.
 */
export async function dial(address: Address, options: DialOptions): Promise<Socket> {
  if (address.kind === "unix") return await attempt({ path: address.path }, options);
  const { host, port } = address;
  const addresses = isIP(host) === 0 ? await resolve(address, options.signal) : [host];
  if (addresses.length === 1) return await attempt({ host: addresses[0]!, port }, options);
  return await connectFirst(addresses.map((host) => ({ host, port })), options);
}

/** The addresses of a name in the order they are to be tried. */
function resolve({ host }: TcpAddress, signal: AbortSignal): Promise<string[]> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    // Nothing can call a look-up off; its answer comes to nobody then.
    lookup(host, { all: true, order: "verbatim" }, (error, found) => {
      signal.removeEventListener("abort", onAbort);
      if (error) return reject(unreachable(error.message, error));
      if (found.length === 0) return reject(unreachable(`${host} has no address`));
      resolve(takeTurns(found.map(({ address }) => address)));
    });
  });
}

/** RFC 8305, section 4: the first address decides which family begins. Repetitions are dropped, and too many. */
export function takeTurns(addresses: readonly string[]): string[] {
  const unique = [...new Set(addresses)];
  const first = isIP(unique[0] ?? "");
  const [own, other] = [
    unique.filter((address) => isIP(address) === first),
    unique.filter((address) => isIP(address) !== first),
  ];
  return own.flatMap((address, i) => [address, ...other.slice(i, i + 1)]).concat(other.slice(own.length))
    .slice(0, MAX_ADDRESSES);
}

/** An IP address and a port. */
export type TcpTarget = Pick<TcpAddress, "host" | "port">;

/**
 * Connects to whichever of several addresses answers first; see {@linkcode dial}.
 *
 * @throws {StageError} As {@linkcode dial}.
 */
export function connectFirst(
  targets: readonly TcpTarget[],
  { signal, onSocket }: DialOptions,
): Promise<Socket> {
  const stop = new AbortController();
  const failures: string[] = [];
  return new Promise<Socket>((resolve, reject) => {
    let next = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const finish = (settle: () => void) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      settle();
      stop.abort();
    };
    const onAbort = () => finish(() => reject(naming(targets.slice(0, next), signal.reason)));
    const startNext = () => {
      clearTimeout(timer);
      const target = targets[next++];
      if (target === undefined) return;
      timer = setTimeout(startNext, ATTEMPT_DELAY_MS);
      attempt(target, { signal: stop.signal, onSocket }).then(
        (socket) => stop.signal.aborted ? socket.destroy() : finish(() => resolve(socket)),
        (error: Error) => {
          if (stop.signal.aborted) return;
          failures.push(error.message);
          if (failures.length < targets.length) return startNext();
          const { cause } = error;
          finish(() => reject(unreachable(failures.map(withoutPrefix).join("; "), cause as Error)));
        },
      );
    };
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener("abort", onAbort);
    startNext();
  });
}

/** One address. An attempt that is ended by its signal leaves no socket behind. */
function attempt(target: TcpTarget | { readonly path: string }, options: DialOptions): Promise<Socket> {
  const { signal, onSocket } = options;
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const socket = open(target);
    onSocket(socket);
    // What listens no longer is let go: an idle session must not keep its first second in memory.
    const settle = (finish: () => void) => {
      signal.removeEventListener("abort", onAbort);
      socket.removeListener("error", onError);
      socket.removeListener("close", onClose);
      socket.removeListener("connect", onConnect);
      finish();
    };
    const onAbort = () =>
      settle(() => {
        socket.destroy();
        reject(signal.reason);
      });
    const onError = (error: Error) => settle(() => reject(unreachable(error.message, error)));
    // Destroyed by a drain that ran out of patience: there is no other event then.
    const onClose = () => settle(() => reject(unreachable(`${describeTarget(target)} was given up`)));
    const onConnect = () => settle(() => resolve(socket));
    signal.addEventListener("abort", onAbort);
    socket.on("error", ignore);
    socket.on("error", onError);
    socket.on("close", onClose);
    socket.on("connect", onConnect);
  });
}

function open(target: TcpTarget | { readonly path: string }): Socket {
  try {
    return connect({ ...target, ...SOCKET_OPTIONS } as NetConnectOpts);
  } catch (error) {
    // Without the permission to, the runtime says so at once.
    throw unreachable((error as Error).message, error as Error);
  }
}

function unreachable(detail: string, cause?: Error): StageError {
  return new StageError("backend_unreachable", `${PREFIX}${detail}`, { cause });
}

/** A deadline's reason, with the addresses that have not answered or failed until then. */
function naming(tried: readonly TcpTarget[], reason: unknown): unknown {
  if (!(reason instanceof StageError) || reason.reason !== "backend_timeout") return reason;
  const list = tried.map(describeTarget).join(", ");
  return new StageError(reason.reason, `${reason.message}: tried ${list}`, { cause: reason });
}

function withoutPrefix(message: string): string {
  return message.startsWith(PREFIX) ? message.slice(PREFIX.length) : message;
}

function describeTarget(target: TcpTarget | { readonly path: string }): string {
  return "path" in target ? target.path : formatAddress(target.host, target.port);
}

const PREFIX = "Could not connect to the backend: ";

const SOCKET_OPTIONS = {
  allowHalfOpen: true,
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: KEEP_ALIVE_MS,
} as const;

/** RFC 8305, section 5: the recommended Connection Attempt Delay. */
const ATTEMPT_DELAY_MS = 250;

/** A name with more is a mistake or an attack; the attempts of one connection must end somewhere. */
const MAX_ADDRESSES = 16;
