/** Writes to a socket's handle, in order, one write at a time; what comes in the meantime goes out as one. */

import type { Socket } from "node:net";
import { getSystemErrorName } from "node:util";
import { isTls, type StreamHandle, wasAsync, type WriteRequest } from "./native_handle.ts";

/** The writing end of one direction. Nobody else may write to the socket while {@linkcode pending} is not 0. */
export class DirectSink {
  /** Called when a write has ended that was not done at once, and nothing waits behind it or its place is taken. */
  onProgress: () => void = () => {};
  readonly #socket: Socket;
  readonly #handle: StreamHandle;
  readonly #copies: boolean;
  readonly #request: WriteRequest;
  #inFlight = 0;
  #queue: Uint8Array[] = [];
  #queued = 0;

  constructor(socket: Socket, handle: StreamHandle) {
    this.#socket = socket;
    this.#handle = handle;
    this.#copies = isTls(handle);
    this.#request = { oncomplete: (status) => this.#complete(status), kept: null };
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
    if (this.#socket.destroyed) return false;
    if (this.#inFlight > 0) return this.#enqueue(bytes);
    const code = this.#handle.writeBuffer(this.#request, bytes);
    return this.#dispatched(code, bytes, bytes.length);
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
    this.#request.kept = bytes;
    return true;
  }

  #complete(status: number): void {
    this.#inFlight = 0;
    this.#request.kept = null;
    if (this.#socket.destroyed) return;
    if (status < 0) return this.#fail(status);
    if (this.#queued > 0) this.#flush();
    this.onProgress();
  }

  #flush(): void {
    const [chunks, length] = [this.#queue, this.#queued];
    this.#queue = [];
    this.#queued = 0;
    const code = chunks.length === 1
      ? this.#handle.writeBuffer(this.#request, chunks[0]!)
      : this.#handle.writev(this.#request, chunks, true);
    this.#dispatched(code, chunks, length);
  }

  #fail(code: number): void {
    this.#queue = [];
    this.#queued = 0;
    if (this.#socket.destroyed) return;
    const name = getSystemErrorName(code);
    this.#socket.destroy(Object.assign(new Error(`write ${name}`), { code: name, syscall: "write" }));
  }
}

// Kept bytes occupy the whole buffer they were read into, of 64 KB: this is how little of it may be in use.
const MAX_COPIED_BYTES = 16 * 1024;
