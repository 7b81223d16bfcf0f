/** What one side of a login has said and nobody has read yet: bytes in, whole messages out. */

import { ByteBuffer } from "../wire/byte_buffer.ts";
import { decodeMessage, HEAD_BYTES, isOneMessage, type Message, messageBytes } from "../wire/message.ts";

/** Has no bound of its own: who adds to it stops when it holds enough. */
export class Incoming {
  /** What has come first and alone; then {@linkcode #buffer} is empty. */
  #chunk: Uint8Array | null = null;
  readonly #buffer = new ByteBuffer(Infinity);

  get length(): number {
    return this.#chunk?.length ?? this.#buffer.length;
  }

  /** @param chunk Nobody else's from here on. */
  add(chunk: Uint8Array): void {
    if (this.length === 0) return void (this.#chunk = chunk);
    if (this.#chunk !== null) this.#buffer.append(this.#chunk);
    this.#chunk = null;
    this.#buffer.append(chunk);
  }

  /**
   * Takes the next message, if all of it has come.
   *
   * @throws {ProtocolError} If its body is larger than `limitBytes`, or its length word impossible.
   */
  next(limitBytes: number): Message | null {
    if (this.#chunk !== null) {
      const chunk = this.#chunk;
      this.#chunk = null;
      // The usual case, and no copy of a secret.
      if (isOneMessage(chunk, limitBytes)) return decodeMessage(chunk);
      this.#buffer.append(chunk);
    }
    const size = messageBytes(this.#buffer.peek(HEAD_BYTES), limitBytes);
    return size === null || size > this.#buffer.length ? null : decodeMessage(this.#buffer.take(size));
  }

  /** Takes everything; empty if there is nothing. */
  takeAll(): Uint8Array {
    const all = this.#chunk ?? this.#buffer.takeAll();
    this.#chunk = null;
    return all;
  }
}

/** All of `parts`, one behind the other. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}
