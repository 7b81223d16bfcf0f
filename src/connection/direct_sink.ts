/** Writes to a socket's handle, in order, one write at a time; what comes in the meantime goes out as one. */

import { getSystemErrorName } from "node:util";
import type { Leg } from "./leg.ts";
import { isTls, type StreamHandle, wasAsync, type WriteRequest } from "./native_handle.ts";
import { giveBack } from "./read_buffers.ts";

/** Who writes to a {@linkcode DirectSink}. */
export interface SinkOwner {
  /** Called when a write has ended that was not done at once, and the next one, if something waited, has begun. */
  progressed(): void;
}

/** What a sink needs of its leg: whom to tell of an error. */
export type SinkSocket = Pick<Leg, "destroyed" | "socket">;

/**
 * The writing end of one direction. Nobody else may write to the socket while {@linkcode pending} is not 0.
 * It is its own write request: there is one at a time, and every idle session has one.
 */
export class DirectSink implements WriteRequest {
  kept: Uint8Array | readonly Uint8Array[] | null = null;
  #leg: SinkSocket;
  readonly #handle: StreamHandle;
  readonly #copies: boolean;
  #owner: SinkOwner;
  #inFlight = 0;
  #queue: Uint8Array[] = [];
  #queued = 0;

  constructor(leg: SinkSocket, handle: StreamHandle, owner: SinkOwner) {
    this.#leg = leg;
    this.#handle = handle;
    this.#copies = isTls(handle);
    this.#owner = owner;
  }

  /** Goes on for somebody else, behind what has been given. */
  handOver(leg: SinkSocket, owner: SinkOwner): void {
    this.#leg = leg;
    this.#owner = owner;
  }

  /** How many bytes have been given and not yet been taken by the system. */
  get pending(): number {
    return this.#inFlight + this.#queued;
  }

  /**
   * Writes `bytes`, at least one.
   *
   * @returns Whether their memory must not be used for anything else from here on.
   */
  write(bytes: Uint8Array): boolean {
    if (this.#leg.destroyed) return false;
    if (this.#inFlight > 0) return this.#enqueue(bytes);
    const code = this.#handle.writeBuffer(this, bytes);
    return this.#dispatched(code, bytes, bytes.length);
  }

  /** The runtime's; see {@linkcode WriteRequest}. */
  oncomplete(status: number): void {
    this.#inFlight = 0;
    this.#release();
    if (this.#leg.destroyed) return;
    if (status < 0) return this.#fail(status);
    if (this.#queued > 0) this.#flush();
    this.#owner.progressed();
  }

  #release(): void {
    const { kept } = this;
    this.kept = null;
    if (kept instanceof Uint8Array) giveBack(kept);
    else kept?.forEach((chunk) => giveBack(chunk));
  }

  #enqueue(bytes: Uint8Array): boolean {
    const isLent = !this.#copies && bytes.length > MAX_COPIED_BYTES;
    this.#queue.push(isLent ? bytes : bytes.slice());
    this.#queued += bytes.length;
    return isLent;
  }

  #dispatched(code: number, bytes: Uint8Array | readonly Uint8Array[], length: number): boolean {
    if (code !== 0) {
      this.#fail(code);
      return false;
    }
    if (!wasAsync()) return false;
    this.#inFlight = length;
    if (this.#copies) return false;
    this.kept = bytes;
    return true;
  }

  #flush(): void {
    const [chunks, length] = [this.#queue, this.#queued];
    this.#queue = [];
    this.#queued = 0;
    const code = chunks.length === 1
      ? this.#handle.writeBuffer(this, chunks[0]!)
      : this.#handle.writev(this, chunks, true);
    if (!this.#dispatched(code, chunks, length)) chunks.forEach((chunk) => giveBack(chunk));
  }

  #fail(code: number): void {
    this.#queue = [];
    this.#queued = 0;
    if (this.#leg.destroyed) return;
    const name = getSystemErrorName(code);
    this.#leg.socket.destroy(Object.assign(new Error(`write ${name}`), { code: name, syscall: "write" }));
  }
}

// Kept bytes occupy the whole buffer they were read into, of 64 KB: this is how little of it may be in use.
const MAX_COPIED_BYTES = 16 * 1024;
