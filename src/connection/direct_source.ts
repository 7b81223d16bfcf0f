/**
 * Reads from a socket's handle into buffers that all sessions share: an idle session has none of its own.
 *
 * The end of the stream, and errors, go the way they always go: to the socket, which tells them as events.
 */

import { MAX_CONTENTLESS_BYTES } from "../tls/handshake_bound.ts";
import { isTls, lastRead, type StreamHandle, type TlsHandle } from "./native_handle.ts";
import { BUFFER_BYTES, currentBuffer, leaveCurrentBuffer } from "./read_buffers.ts";

/** Who reads from a {@linkcode DirectSource}. */
export interface SourceOwner {
  /** Takes bytes; says whether it still needs their memory. */
  take(bytes: Uint8Array): boolean;
  /** Told before the socket is told of its end, or of an error: there must be one. */
  ending(): void;
  /** Told that the peer sends TLS without content, and goes on doing so: it must be cut off. */
  flooded(): void;
}

/** Options of {@linkcode DirectSource}. */
export interface SourceOptions {
  /** Whether the owner copies what it takes, always: a TLS sink does. */
  readonly isCopied: boolean;
  readonly owner: SourceOwner;
}

/** The reading end of one direction. */
export class DirectSource {
  readonly #handle: StreamHandle;
  /** Where the network is read: the TCP handle, which below a TLS handle is one of its own. */
  readonly #network: StreamHandle;
  #owner: SourceOwner;
  #isDropping = false;
  #isPaused = false;
  readonly #isCopied: boolean;
  /** The buffer a TLS handle decrypts into. */
  #lent: Uint8Array | null = null;
  /** Encrypted bytes since the last content: the runtime keeps what it cannot decrypt yet without bound. */
  #contentless = 0;

  constructor(handle: StreamHandle, options: SourceOptions) {
    this.#handle = handle;
    this.#network = isTls(handle) ? handle._nativeTcpHandle : handle;
    this.#owner = options.owner;
    this.#isCopied = options.isCopied;
    this.#network.readStop();
    if (isTls(handle)) this.#readTls(handle);
    else if (options.isCopied) this.#readShared(handle);
    else this.#readOwned(handle);
    // So that node:net does not start it behind our back.
    handle.reading = true;
  }

  /** Goes on for somebody else, who copies what he takes if the owner before did. */
  handOver(owner: SourceOwner): void {
    this.#owner = owner;
  }

  /** Begins with what the handle has decrypted already, before this returns. */
  start(): void {
    this.#handle.readStart();
    this.#network.readStart();
  }

  /** Stops reading from the network: the sender is held back. */
  pause(): void {
    this.#isPaused = true;
    this.#network.readStop();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#network.readStart();
  }

  /** Lets go of a buffer that others do not share any more. Call it when a write has ended. */
  letGo(): void {
    if (!this.#isCopied && isTls(this.#handle)) this.#lend(this.#handle);
  }

  /** Stops. When the socket is resumed, whatever comes is dropped. */
  discard(): void {
    this.#isDropping = true;
    this.#network.readStop();
    this.#handle.reading = false;
    // What is dropped must not overwrite what somebody else's write still needs.
    if (isTls(this.#handle)) this.#handle.useUserBuffer(this.#lent = ENCRYPTED);
  }

  #readTls(handle: TlsHandle): void {
    const network = handle._nativeTcpHandle;
    const endNetwork = network.onread;
    const end = handle.onread;
    network.useUserBuffer(ENCRYPTED);
    network.onread = () => {
      const count = lastRead();
      if (count < 0) return endNetwork.call(network);
      this.#lend(handle);
      this.#contentless += count;
      handle.receive(ENCRYPTED.subarray(0, count));
      if (this.#contentless > MAX_CONTENTLESS_BYTES) this.#owner.flooded();
    };
    this.#lend(handle);
    handle.onread = () => {
      const count = lastRead();
      if (count < 0) return this.#end(handle, end);
      this.#contentless = 0;
      if (!this.#take(currentBuffer().subarray(0, count))) return;
      leaveCurrentBuffer();
      this.#lend(handle);
    };
  }

  /** `end` is node:net's `onread`, the same for all sockets. */
  #end(handle: StreamHandle, end: StreamHandle["onread"]): void {
    this.#owner.ending();
    end.call(handle);
  }

  #take(bytes: Uint8Array): boolean {
    return !this.#isDropping && this.#owner.take(bytes);
  }

  #lend(handle: TlsHandle): void {
    if (this.#isDropping) return;
    const buffer = currentBuffer();
    if (this.#lent !== buffer) handle.useUserBuffer(this.#lent = buffer);
  }

  #readShared(handle: StreamHandle): void {
    const end = handle.onread;
    handle.useUserBuffer(PLAINTEXT);
    handle.onread = () => {
      const count = lastRead();
      if (count < 0) return this.#end(handle, end);
      this.#take(PLAINTEXT.subarray(0, count));
    };
  }

  #readOwned(handle: StreamHandle): void {
    const end = handle.onread;
    handle.onread = (bytes) => {
      const count = lastRead();
      if (count < 0 || bytes === undefined) return this.#end(handle, end);
      this.#take(new Uint8Array(bytes, 0, count));
    };
  }
}

// Each is done with before the next read of whatever session: its bytes are decrypted, or taken by a TLS sink.
const ENCRYPTED = new Uint8Array(BUFFER_BYTES);
const PLAINTEXT = new Uint8Array(BUFFER_BYTES);
