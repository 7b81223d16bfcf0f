/**
 * Reads from a socket's handle into buffers that all sessions share: an idle session holds none.
 *
 * The end of the stream, and errors, go the way they always go: to the socket, which tells them as events.
 */

import { isTls, lastRead, type StreamHandle, type TlsHandle } from "./native_handle.ts";

/** Who reads from a {@linkcode DirectSource}. */
export interface SourceOwner {
  /** Takes bytes; says whether it still needs their memory. */
  take(bytes: Uint8Array): boolean;
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
  /** The buffer a TLS handle decrypts into. */
  #lent: Uint8Array | null = null;

  constructor(handle: StreamHandle, options: SourceOptions) {
    this.#handle = handle;
    this.#network = isTls(handle) ? handle._nativeTcpHandle : handle;
    this.#owner = options.owner;
    this.#network.readStop();
    if (isTls(handle)) this.#readTls(handle);
    else if (options.isCopied) this.#readShared(handle);
    else this.#readOwned(handle);
    // So that node:net does not start it behind our back.
    handle.reading = true;
  }

  /** Begins with what the handle has decrypted already, before this returns. */
  start(): void {
    this.#handle.readStart();
    this.#network.readStart();
  }

  /** Stops reading from the network: the sender is held back. */
  pause(): void {
    this.#network.readStop();
  }

  resume(): void {
    this.#network.readStart();
  }

  /** Stops. When the socket is resumed, whatever comes is dropped. */
  discard(): void {
    this.#owner = NOBODY;
    this.#network.readStop();
    this.#handle.reading = false;
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
      handle.receive(ENCRYPTED.subarray(0, count));
    };
    this.#lend(handle);
    handle.onread = () => {
      const count = lastRead();
      if (count < 0) return end.call(handle);
      if (!this.#owner.take(decrypted.subarray(0, count))) return;
      decrypted = new Uint8Array(BUFFER_BYTES);
      this.#lend(handle);
    };
  }

  #lend(handle: TlsHandle): void {
    if (this.#lent !== decrypted) handle.useUserBuffer(this.#lent = decrypted);
  }

  #readShared(handle: StreamHandle): void {
    const end = handle.onread;
    handle.useUserBuffer(PLAINTEXT);
    handle.onread = () => {
      const count = lastRead();
      if (count < 0) return end.call(handle);
      this.#owner.take(PLAINTEXT.subarray(0, count));
    };
  }

  #readOwned(handle: StreamHandle): void {
    const end = handle.onread;
    handle.onread = (bytes) => {
      const count = lastRead();
      if (count < 0 || bytes === undefined) return end.call(handle);
      this.#owner.take(new Uint8Array(bytes, 0, count));
    };
  }
}

const NOBODY: SourceOwner = { take: () => false };

// What the runtime itself reads at most at a time.
const BUFFER_BYTES = 64 * 1024;

// Each is done with before the next read of whatever session: its bytes are decrypted, or taken by a TLS sink.
const ENCRYPTED = new Uint8Array(BUFFER_BYTES);
const PLAINTEXT = new Uint8Array(BUFFER_BYTES);

// Replaced when a sink keeps it.
let decrypted = new Uint8Array(BUFFER_BYTES);
