/** A bounded queue of bytes: what the peer sent and nobody has parsed yet. */
import { ProtocolError } from "../errors.ts";

/**
 * Holds at most `limit` bytes between the socket and a parser.
 *
 * Bytes are copied in, so the caller may reuse its chunk. New storage has twice the room it needs, so a byte is copied
 * about once more whether it came alone or in a chunk, and storage stays below twice the limit.
 */
export class ByteBuffer {
  readonly #limit: number;
  #storage: Uint8Array = EMPTY;
  #start = 0;
  #end = 0;

  /** @param limit How many unread bytes it may hold. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The number of bytes not yet taken. */
  get length(): number {
    return this.#end - this.#start;
  }

  /**
   * Adds `bytes` at the end.
   *
   * @throws {ProtocolError} If more than the limit would be held; then nothing was added.
   */
  append(bytes: Uint8Array): void {
    if (this.length + bytes.length > this.#limit) {
      throw new ProtocolError(`received more than ${this.#limit} bytes where one message was expected`);
    }
    if (this.#end + bytes.length > this.#storage.length) this.#makeRoom(bytes.length);
    this.#storage.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  /**
   * Returns the first `count` bytes, or all there are if fewer, without taking them.
   *
   * The result is a view: valid until the next call that changes the buffer.
   */
  peek(count: number): Uint8Array {
    return this.#storage.subarray(this.#start, this.#start + Math.min(count, this.length));
  }

  /**
   * Removes the first `count` bytes and returns them as a copy.
   *
   * @throws {RangeError} If fewer than `count` bytes are held: ask `length` first.
   */
  take(count: number): Uint8Array {
    if (count > this.length) {
      throw new RangeError(`Cannot take ${count} bytes from the buffer: it holds ${this.length}`);
    }
    const taken = this.#storage.slice(this.#start, this.#start + count);
    this.#start += count;
    if (this.#start === this.#end) this.#release();
    return taken;
  }

  /** Removes and returns everything; empty if there is nothing. */
  takeAll(): Uint8Array {
    return this.take(this.length);
  }

  #makeRoom(count: number): void {
    const held = this.peek(this.length);
    const capacity = held.length === 0 ? count : 2 * (held.length + count);
    this.#storage = new Uint8Array(Math.max(capacity, MIN_CAPACITY_BYTES));
    this.#storage.set(held);
    this.#start = 0;
    this.#end = held.length;
  }

  /** An idle connection keeps no storage. */
  #release(): void {
    this.#storage = EMPTY;
    this.#start = 0;
    this.#end = 0;
  }
}

const EMPTY = new Uint8Array(0);

/** Room for the StartupMessage of every common client (psql's is about 90 bytes) without growing. */
const MIN_CAPACITY_BYTES = 256;
