/** One leg of a session in the relay: a socket, and while the session rests what is left of one. */

import type { Socket } from "node:net";
import { takeHandle, wrapHandle } from "./bare_handle.ts";
import { isTls, nativeHandle, type StreamHandle } from "./native_handle.ts";

/** Who is told when a leg has a new socket: whatever listened to the old one must listen to this. */
export interface LegOwner {
  woken(leg: Leg, socket: Socket): void;
}

/** Rests, if it is told to, until somebody needs its socket. */
export class Leg {
  #socket: Socket | null;
  #handle: StreamHandle | null = null;
  readonly #owner: LegOwner;

  constructor(socket: Socket, owner: LegOwner) {
    this.#socket = socket;
    this.#owner = owner;
  }

  /** The socket; a leg that rests wakes up for it. */
  get socket(): Socket {
    return this.#socket ?? this.wake();
  }

  get destroyed(): boolean {
    return this.#socket !== null && this.#socket.destroyed;
  }

  /** Bytes received, of what the session carries: decrypted where it is TLS. */
  get bytesRead(): number {
    return this.#socket?.bytesRead ?? this.#handle!.getBytesRead();
  }

  /**
   * A number that grows with every byte from the network, also while it is no whole record of TLS yet. With content alone
   * where there is no handle.
   */
  get activity(): number {
    const handle = this.#handle ?? nativeHandle(this.#socket!);
    return handle !== null && isTls(handle) ? handle._nativeTcpHandle.getBytesRead() : this.bytesRead;
  }

  /**
   * Lets go of the socket, and of its listeners. Only while the relay reads and writes its handle, nothing waits to be
   * written, and neither of its directions has ended.
   */
  rest(): void {
    if (this.#socket === null) return;
    this.#handle = takeHandle(this.#socket, (error) => this.socket.destroy(error));
    if (this.#handle !== null) this.#socket = null;
  }

  /** Makes a socket again, if there is none. */
  wake(): Socket {
    if (this.#socket !== null) return this.#socket;
    const socket = this.#socket = wrapHandle(this.#handle!);
    this.#handle = null;
    this.#owner.woken(this, socket);
    return socket;
  }
}
