/** A login over two sockets: whole messages from either side, and an eye on the other one meanwhile. */

import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import type { Parties, Peer } from "../auth/peer.ts";
import { ByteBuffer } from "../wire/byte_buffer.ts";
import { decodeMessage, HEAD_BYTES, isOneMessage, type Message, messageBytes } from "../wire/message.ts";

/** Options of {@linkcode Conversation}. */
export interface ConversationOptions {
  /** Ends every wait; see {@linkcode Conversation.release}. */
  readonly signal: AbortSignal;
  /**
   * Whether a side that speaks while the other one is waited for ends the conversation as if it had left: for a caller
   * who then passes on what either says, because somebody does not wait for his turn.
   */
  readonly endsOutOfTurn?: boolean;
}

/** What each side has said that was read and goes to the other one: before anything its socket has yet to give. */
export interface Unread {
  readonly fromClient: Uint8Array;
  readonly fromBackend: Uint8Array;
}

/** Client and backend, until {@linkcode release}. Listens to both once: a login waits many times, and shortly. */
export class Conversation implements Parties {
  readonly client: SocketPeer;
  readonly backend: SocketPeer;
  readonly #signal: AbortSignal;
  #wake: (() => void) | null = null;

  constructor(client: Socket, backend: Socket, options: ConversationOptions) {
    this.#signal = options.signal;
    const [change, changed] = [() => this.#change(), this.#changed];
    this.client = new SocketPeer(client, { other: () => this.backend, change, changed, ...options });
    this.backend = new SocketPeer(backend, { other: () => this.client, change, changed, ...options });
    this.#signal.addEventListener("abort", changed);
  }

  /** Gives away what was read and not asked for. The conversation is over. */
  takeUnread(): Unread {
    return { fromClient: this.client.takeUnread(), fromBackend: this.backend.takeUnread() };
  }

  /** Leaves both sockets paused and without a listener. */
  release(): void {
    this.client.release();
    this.backend.release();
    this.#signal.removeEventListener("abort", this.#changed);
  }

  /** Resolves when anything has happened on either side, or to the signal. */
  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake = resolve);
  }

  readonly #changed = (): void => {
    this.#wake?.();
    this.#wake = null;
  };
}

interface Surroundings extends ConversationOptions {
  readonly other: () => SocketPeer;
  readonly change: () => Promise<void>;
  readonly changed: () => void;
}

class SocketPeer implements Peer {
  readonly #socket: Socket;
  readonly #surroundings: Surroundings;
  /** What has come first and alone; then {@linkcode #buffer} is empty. */
  #chunk: Uint8Array | null = null;
  readonly #buffer = new ByteBuffer(Infinity);
  #ahead: readonly Uint8Array[] = [];
  #mayFinish = false;

  constructor(socket: Socket, surroundings: Surroundings) {
    this.#socket = socket;
    this.#surroundings = surroundings;
    for (const event of CHANGES) socket.on(event, surroundings.changed);
    socket.on("data", this.#onData);
    // On() alone does not, when the socket was paused before.
    socket.resume();
  }

  get hasLeft(): boolean {
    const { destroyed, errored, readableEnded } = this.#socket;
    return destroyed || errored !== null || (readableEnded && this.#held === 0);
  }

  get hasUnread(): boolean {
    return this.#held > 0;
  }

  async read(limitBytes: number): Promise<Message | null> {
    const { other, signal, endsOutOfTurn, change } = this.#surroundings;
    while (true) {
      signal.throwIfAborted();
      const message = this.#next(limitBytes);
      if (message !== null) return message;
      if (this.#socket.readableEnded || this.hasLeft) return null;
      if (other().hasLeft && !this.#mayFinish) return null;
      if (endsOutOfTurn && other().hasUnread) return null;
      if (this.#socket.isPaused()) this.#socket.resume();
      await change();
    }
  }

  finish(): void {
    this.#mayFinish = true;
  }

  takeUnread(): Uint8Array {
    const unread = this.#chunk ?? this.#buffer.takeAll();
    this.#chunk = null;
    return this.#ahead.length === 0 ? unread : Buffer.concat([...this.#ahead, unread]);
  }

  write(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#socket.write(bytes);
  }

  putAhead(...messages: readonly Uint8Array[]): void {
    this.#ahead = messages;
  }

  release(): void {
    const { changed } = this.#surroundings;
    for (const event of CHANGES) this.#socket.removeListener(event, changed);
    this.#socket.removeListener("data", this.#onData);
    this.#socket.pause();
  }

  get #held(): number {
    return this.#chunk?.length ?? this.#buffer.length;
  }

  /** The next message, if all of it has come. */
  #next(limitBytes: number): Message | null {
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

  readonly #onData = ({ buffer, byteOffset, length }: Buffer<ArrayBuffer>): void => {
    // Not as a Buffer, whose parts are slower to make and to search.
    const chunk = new Uint8Array(buffer, byteOffset, length);
    if (this.#held === 0) this.#chunk = chunk;
    else {
      if (this.#chunk !== null) this.#buffer.append(this.#chunk);
      this.#chunk = null;
      this.#buffer.append(chunk);
    }
    // More than the longest message: nobody waits for it to be complete.
    if (this.#held > MAX_MESSAGE_BYTES) this.#socket.pause();
    this.#surroundings.changed();
  };
}

const CHANGES = ["end", "close", "error"] as const;

/** The longest message of a login is a password (PostgreSQL's PG_MAX_AUTH_TOKEN_LENGTH). */
const MAX_MESSAGE_BYTES = HEAD_BYTES + 65_535;
