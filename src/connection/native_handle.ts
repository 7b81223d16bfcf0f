/**
 * The runtime's own stream below a socket: everything the relay reads of Deno's private API, in one place.
 *
 * node:net and node:tls keep a handle for each connection (`_handle`), which calls `onread` with what came and takes
 * writes without any of the bookkeeping of node:stream. What a handle does is not documented, so it is used on the
 * versions of Deno it was read in and tried on (docs/decisions/0005), and where every part of it is found; otherwise
 * there is no handle, and the relay copies with streams. Held by native_handle_test.ts.
 */

import type { Socket } from "node:net";
import process from "node:process";

/** A stream of the runtime. Calls return 0, or a negative error number. */
export interface StreamHandle {
  /**
   * Called with what was read, after {@linkcode lastRead} has been set. An ArrayBuffer of exactly these bytes; nothing
   * at the end of the stream, after an error, and when the bytes stand in a buffer given to `useUserBuffer`.
   */
  onread: (this: StreamHandle, bytes?: ArrayBuffer) => void;
  /** What node:net believes; it starts reading by itself while this is false. */
  reading: boolean;
  /** Takes up the present `onread`, unless it is reading already. */
  readStart(): number;
  readStop(): number;
  /** From the next read on, bytes are put at the front of `buffer`. */
  useUserBuffer(buffer: Uint8Array): void;
  /** One at a time: after {@linkcode wasAsync} not before `oncomplete`. A TLS handle copies, a TCP handle refers. */
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number;
  /** As `writeBuffer`, several pieces in one. */
  writev(request: WriteRequest, chunks: readonly Uint8Array[], allBuffers: true): number;
  /** Received so far; a TLS handle counts what it decrypted. */
  getBytesRead(): number;
}

/** The TLS stream; the TCP stream below it hands over what it reads by `receive`. */
export interface TlsHandle extends StreamHandle {
  /** Decrypts; calls `onread`, once for each full user buffer, before it returns. */
  receive(encrypted: Uint8Array): void;
  /** Gone once the connection is. */
  readonly _nativeTcpHandle: StreamHandle;
}

/** A write that has not ended. May be used again after `oncomplete`. */
export interface WriteRequest {
  /** Called once, from the event loop, when a write that was not done at once is; `status` as an error number. */
  oncomplete(status: number): void;
  /** What must stay in memory until then. */
  kept: Uint8Array | readonly Uint8Array[] | null;
}

/** Whether any socket has a handle for {@linkcode nativeHandle}; it is the same for the whole life of the process. */
export function knowsHandles(): boolean {
  return IS_KNOWN_RUNTIME && STATE !== null;
}

/** The handle of a connected socket, or `null` where it is not what we know. */
export function nativeHandle(socket: Socket): StreamHandle | TlsHandle | null {
  if (!knowsHandles()) return null;
  const handle = (socket as Socket & { _handle?: Partial<TlsHandle> | null })._handle;
  if (!handle || !isStream(handle)) return null;
  if (!isTls(handle)) return handle;
  return handle._nativeTcpHandle && isStream(handle._nativeTcpHandle) ? handle : null;
}

/** Whether what is read and written there is encrypted by it. */
export function isTls(handle: StreamHandle): handle is TlsHandle {
  return typeof (handle as Partial<TlsHandle>).receive === "function";
}

/** Within `onread`: how many bytes came, or a negative error number, of which the end of the stream is one. */
export function lastRead(): number {
  return STATE![0]!;
}

/** Right after a write: whether it goes on, and `oncomplete` will be called. */
export function wasAsync(): boolean {
  return STATE![3] !== 0;
}

function isStream(handle: Partial<StreamHandle>): handle is StreamHandle {
  return METHODS.every((name) => typeof handle[name] === "function");
}

/** The numbers that handles and their callers share: [bytes read or error, offset, bytes written, was asynchronous]. */
function findState(): Int32Array | null {
  try {
    const { binding } = process as unknown as { binding(name: string): { streamBaseState?: unknown } };
    const { streamBaseState } = binding("stream_wrap");
    return streamBaseState instanceof Int32Array && streamBaseState.length >= 4 ? streamBaseState : null;
  } catch {
    return null;
  }
}

const METHODS = [
  "onread",
  "readStart",
  "readStop",
  "useUserBuffer",
  "writeBuffer",
  "writev",
  "getBytesRead",
] as const;

const STATE = findState();

// A newer Deno may do otherwise what it calls the same.
const IS_KNOWN_RUNTIME = Deno.version.deno.startsWith("2.9.");
