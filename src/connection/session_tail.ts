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
  // A copy: a reference would keep the read buffer of every idle session alive.
  readonly #last = new Uint8Array(READY_BYTES);
  #isAnswered = false;
  #hasTerminated = false;

  /** Notes a chunk from the backend. */
  fromBackend(chunk: Uint8Array): void {
    this.#isAnswered = true;
    const last = this.#last;
    const fresh = Math.min(chunk.length, READY_BYTES);
    last.copyWithin(0, fresh);
    for (let i = 1; i <= fresh; i++) last[READY_BYTES - i] = chunk[chunk.length - i]!;
  }

  /** Notes a chunk from the client, which the backend has not answered yet. */
  fromClient(chunk: Uint8Array): void {
    this.#isAnswered = false;
    this.#hasTerminated = endsWith(chunk, TERMINATE);
  }

  /** Whether the backend waits for a query, outside a transaction. */
  isIdle(): boolean {
    return this.#isAnswered && this.isBetweenMessages() && this.#last[READY_BYTES - 1] === STATUS_IDLE;
  }

  /** Whether the backend's stream stands right behind a ReadyForQuery, where another message may begin. */
  isBetweenMessages(): boolean {
    return READY_PREFIX.every((byte, i) => this.#last[i] === byte);
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

// Type byte, length 5; the status byte follows: 'I', 'T' or 'E'.
const READY_PREFIX = [0x5a, 0, 0, 0, 5];
const READY_BYTES = 6;
const STATUS_IDLE = 0x49;

// Type byte 'X', length 4.
const TERMINATE = [0x58, 0, 0, 0, 4];
