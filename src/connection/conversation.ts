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
  readonly #sockets: readonly Socket[];
  readonly #signal: AbortSignal;
  #wake: (() => void) | null = null;

  constructor(client: Socket, backend: Socket, options: ConversationOptions) {
    this.#sockets = [client, backend];
    this.#signal = options.signal;
    const change = () => this.#change();
    this.client = new SocketPeer(client, { other: () => this.backend, change, ...options });
    this.backend = new SocketPeer(backend, { other: () => this.client, change, ...options });
    for (const socket of this.#sockets) {
      for (const event of CHANGES) socket.on(event, this.#onChange);
      socket.on("readable", this.#onReadable);
    }
    this.#signal.addEventListener("abort", this.#onChange);
  }

  /** Gives away what was read and not asked for. The conversation is over. */
  takeUnread(): Unread {
    return { fromClient: this.client.takeUnread(), fromBackend: this.backend.takeUnread() };
  }

  /** Leaves both sockets without a listener. */
  release(): void {
    for (const socket of this.#sockets) {
      for (const event of CHANGES) socket.removeListener(event, this.#onChange);
      socket.removeListener("readable", this.#onReadable);
    }
    this.#signal.removeEventListener("abort", this.#onChange);
  }

  /** Resolves when anything has happened on either side, or to the signal. */
  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake = resolve);
  }

  readonly #onChange = (): void => {
    this.#wake?.();
    this.#wake = null;
  };

  readonly #onReadable = (): void => {
    // The end of a stream is said only to those who read; reading nothing leaves what is there to its reader.
    for (const socket of this.#sockets) if (socket.readableLength === 0) socket.read(0);
    this.#onChange();
  };
}

interface Surroundings extends ConversationOptions {
  readonly other: () => SocketPeer;
  readonly change: () => Promise<void>;
}

class SocketPeer implements Peer {
  readonly #socket: Socket;
  readonly #surroundings: Surroundings;
  readonly #buffer = new ByteBuffer(MAX_MESSAGE_BYTES);
  #ahead: readonly Uint8Array[] = [];

  constructor(socket: Socket, surroundings: Surroundings) {
    this.#socket = socket;
    this.#surroundings = surroundings;
  }

  get hasLeft(): boolean {
    const { destroyed, errored, readableEnded } = this.#socket;
    return destroyed || errored !== null || (readableEnded && this.#buffer.length === 0);
  }

  get hasUnread(): boolean {
    return this.#buffer.length > 0 || this.#socket.readableLength > 0;
  }

  async read(limitBytes: number): Promise<Message | null> {
    while (true) {
      const size = messageBytes(this.#buffer.peek(HEAD_BYTES), limitBytes);
      if (size !== null && size <= this.#buffer.length) return decodeMessage(this.#buffer.take(size));
      const chunk = await this.#receive();
      if (chunk === null) return null;
      // The usual case, and no copy of a secret.
      if (this.#buffer.length === 0 && isOneMessage(chunk, limitBytes)) return decodeMessage(chunk);
      this.#buffer.append(chunk);
    }
  }

  takeUnread(): Uint8Array {
    const unread = this.#buffer.takeAll();
    return this.#ahead.length === 0 ? unread : Buffer.concat([...this.#ahead, unread]);
  }

  write(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#socket.write(bytes);
  }

  putAhead(...messages: readonly Uint8Array[]): void {
    this.#ahead = messages;
  }

  /** What has come, as much as there is room for; `null` when either side has left, or speaks out of turn where that counts. */
  async #receive(): Promise<Uint8Array | null> {
    const { other, signal, endsOutOfTurn, change } = this.#surroundings;
    const [socket, room] = [this.#socket, MAX_MESSAGE_BYTES - this.#buffer.length];
    while (true) {
      signal.throwIfAborted();
      const chunk: Uint8Array | null = socket.readableLength === 0
        ? null
        : socket.read(Math.min(socket.readableLength, room));
      // Not as a Buffer, whose parts are slower to make and to search.
      if (chunk !== null) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
      if (socket.readableEnded || this.hasLeft || other().hasLeft) return null;
      if (endsOutOfTurn && other().hasUnread) return null;
      await change();
    }
  }
}

const CHANGES = ["end", "close", "error"] as const;

/** The longest message of a login is a password (PostgreSQL's PG_MAX_AUTH_TOKEN_LENGTH). */
const MAX_MESSAGE_BYTES = HEAD_BYTES + 65_535;
