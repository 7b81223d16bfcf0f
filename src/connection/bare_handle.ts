/**
 * Takes a handle out of its socket, and puts a new socket around it later: the second half of what pgtls knows of
 * Deno's private API (the first is native_handle.ts, whose rules hold here, too).
 *
 * The socket objects of node:net and node:tls are most of the memory that JavaScript spends on a session, and a relay
 * that copies from handle to handle needs them only when the session ends.
 */

import { Socket, type SocketConstructorOpts } from "node:net";
import { keepBackPressure } from "../tls/back_pressure.ts";
import { ignore } from "./socket.ts";
import { isTls, nativeHandle, type StreamHandle, type TlsHandle } from "./native_handle.ts";

/**
 * Takes the handle of a socket that nobody writes to and that is read with an `onread` of ours.
 *
 * The socket, and one below it that it encrypts for, are of no use afterwards; what they have hung on the handle goes,
 * except that `onread`.
 *
 * @param failed Called when a TLS handle meets what is no TLS, or fails its check.
 * @returns `null`, and nothing is changed, where it is not what we know.
 */
export function takeHandle(socket: Socket, failed: (error: Error) => void): StreamHandle | null {
  const handle = nativeHandle(socket);
  if (handle === null) return null;
  if (isTls(handle)) {
    const below = (handle as OwnedTlsHandle)._parentWrap;
    if (!(below instanceof Socket) || nativeHandle(below) !== handle._nativeTcpHandle) return null;
    leave(below);
    strip(handle._nativeTcpHandle);
  }
  leave(socket);
  strip(handle);
  if (isTls(handle)) (handle as OwnedTlsHandle).onerror = failed;
  return handle;
}

/** A new socket, half-open allowed and paused, for a handle that was taken. Its `onread` stays ours. */
export function wrapHandle(handle: StreamHandle): Socket {
  const { onread } = handle;
  const options: unknown = { handle, allowHalfOpen: true, manualStart: true };
  const socket = new Socket(options as SocketConstructorOpts);
  // What it says is heard by whoever asked for the socket; what it says after that must not end the process.
  socket.on("error", ignore);
  // As long as this is true node:net does not start to read by itself.
  handle.reading = true;
  if (isTls(handle)) {
    const owned = handle as OwnedTlsHandle;
    owned._owner = { ssl: handle };
    owned.onerror = (error) => socket.destroy(error);
    keepBackPressure(socket);
  }
  handle.onread = onread;
  return socket;
}

/** A TLS handle as node:tls leaves it. */
interface OwnedTlsHandle extends TlsHandle {
  /** Called with a TLS error. */
  onerror: (error: Error) => void;
  /** Whose `ssl` is freed when the handle is closed. */
  _owner?: { ssl: TlsHandle | null };
  /** The socket below. */
  readonly _parentWrap?: unknown;
}

/** Leaves a socket without its handle, as a socket is that has been closed. */
function leave(socket: Socket): void {
  Object.assign(socket, { _handle: null }, "ssl" in socket && { ssl: null });
}

/**
 * Takes away whatever refers to sockets: owners, and methods bound to them. Of a TCP handle nothing is deleted: the engine
 * would keep what is left in a dictionary, which takes more memory, and time whenever a method of the handle is called.
 * A TLS handle is one already, for node:tls gives it some thirty properties: without them it is a small one.
 */
function strip(handle: StreamHandle): void {
  const native = Object.getPrototypeOf(handle);
  for (const key of Reflect.ownKeys(handle)) {
    if (KEPT.has(key)) continue;
    if (isTls(handle)) Reflect.deleteProperty(handle, key);
    else Reflect.set(handle, key, native[key]);
  }
  // Of a handle below TLS an accessor, which asks the socket.
  Object.defineProperty(handle, "reading", {
    value: true,
    writable: true,
    configurable: true,
    enumerable: true,
  });
}

const KEPT: ReadonlySet<string | symbol> = new Set(["onread", "_nativeTcpHandle", "reading"]);
