/** Tells idle from busy, and between messages from inside one, by the last bytes of each direction alone. */

/**
 * Remembers how both streams of a session end so far, without parsing them.
 *
 * A session is idle when the last bytes from the backend are ReadyForQuery with status `I` and the client has sent
 * nothing since. Row data that happens to end in the same six bytes can be taken for ReadyForQuery: it matters only
 * to a session that is being ended anyway.
 *
 * @see {@link https://www.postgresql.org/docs/current/protocol-message-formats.html | PostgreSQL, Message Formats}
 */
export class SessionTail {
  // Numbers: a reference would keep the read buffer of every idle session alive, and an array of its own takes 350 bytes.
  /** The last four bytes of the backend's stream, big-endian. */
  #last = 0;
  /** The two bytes in front of them. */
  #before = 0;
  #isAnswered = false;
  #hasTerminated = false;

  /** Notes a chunk from the backend. */
  fromBackend(chunk: Uint8Array): void {
    this.#isAnswered = true;
    for (let i = Math.max(0, chunk.length - READY_BYTES); i < chunk.length; i++) {
      this.#before = (this.#before << 8 | this.#last >>> 24) & 0xffff;
      this.#last = this.#last << 8 | chunk[i]!;
    }
  }

  /** Notes a chunk from the client, which the backend has not answered yet. */
  fromClient(chunk: Uint8Array): void {
    this.#isAnswered = false;
    this.#hasTerminated = endsWith(chunk, TERMINATE);
  }

  /** Whether the backend waits for a query, outside a transaction. */
  isIdle(): boolean {
    return this.#isAnswered && this.isBetweenMessages() && (this.#last & 0xff) === STATUS_IDLE;
  }

  /** Whether the backend's stream stands right behind a ReadyForQuery, where another message may begin. */
  isBetweenMessages(): boolean {
    return this.#before === READY_BEFORE && this.#last >>> 8 === READY_LAST;
  }

  /** Whether the client has said Terminate: then the backend's close is the answer, not a loss. */
  hasTerminated(): boolean {
    return this.#hasTerminated;
  }
}

function endsWith(chunk: Uint8Array, suffix: readonly number[]): boolean {
  const start = chunk.length - suffix.length;
  return start >= 0 && suffix.every((byte, i) => chunk[start + i] === byte);
}

// Type byte 'Z', length 5; the status byte follows: 'I', 'T' or 'E'.
const READY_BEFORE = 0x5a00;
const READY_LAST = 0x000005;
const READY_BYTES = 6;
const STATUS_IDLE = 0x49;

// Type byte 'X', length 4.
const TERMINATE = [0x58, 0, 0, 0, 4];
