/** A login over two sockets: whole messages from either side, and an eye on the other one meanwhile. */

import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import type { Parties, Peer } from "../auth/peer.ts";
import { ByteBuffer } from "../wire/byte_buffer.ts";
import { decodeMessage, HEAD_BYTES, type Message, messageBytes } from "../wire/message.ts";

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

/** Client and backend, until {@linkcode release}. Listens to both once: a login waits many times, and shortly. */
export class Conversation implements Parties {
  readonly client: Peer;
  readonly backend: Peer;
  readonly #sockets: readonly Socket[];
  readonly #signal: AbortSignal;
  #wake: (() => void) | null = null;

  constructor(client: Socket, backend: Socket, options: ConversationOptions) {
    this.#sockets = [client, backend];
    this.#signal = options.signal;
    const change = () => this.#change();
    this.client = new SocketPeer({ socket: client, other: backend, change, ...options });
    this.backend = new SocketPeer({ socket: backend, other: client, change, ...options });
    for (const socket of this.#sockets) {
      for (const event of CHANGES) socket.on(event, this.#onChange);
      socket.on("readable", this.#onReadable);
    }
    this.#signal.addEventListener("abort", this.#onChange);
  }

  /** Leaves both sockets without a listener, and with every byte that was not read. */
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

interface Sides extends ConversationOptions {
  readonly socket: Socket;
  readonly other: Socket;
  readonly change: () => Promise<void>;
}

class SocketPeer implements Peer {
  readonly #sides: Sides;
  readonly #buffer = new ByteBuffer(MAX_MESSAGE_BYTES);

  constructor(sides: Sides) {
    this.#sides = sides;
  }

  get hasLeft(): boolean {
    return hasLeft(this.#sides.socket);
  }

  async read(limitBytes: number): Promise<Message | null> {
    while (true) {
      const size = messageBytes(this.#buffer.peek(HEAD_BYTES), limitBytes);
      const missing = (size ?? HEAD_BYTES) - this.#buffer.length;
      if (missing === 0) return decodeMessage(this.#buffer.takeAll());
      if (!await this.#receive(missing)) return null;
    }
  }

  takeUnread(): Uint8Array {
    return this.#buffer.takeAll();
  }

  write(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#sides.socket.write(bytes);
  }

  putBack(...messages: readonly Uint8Array[]): void {
    const { socket, other } = this.#sides;
    const bytes = Buffer.concat(messages);
    // A stream whose end has been told takes nothing back; what it had to say has been read, too.
    if (this.hasLeft) other.write(bytes);
    else socket.unshift(bytes);
  }

  /** Takes at most `limit` bytes; false when either side has left, or speaks out of turn where that counts. */
  async #receive(limit: number): Promise<boolean> {
    const { socket, other, signal, endsOutOfTurn, change } = this.#sides;
    while (true) {
      signal.throwIfAborted();
      if (socket.readableLength > 0) {
        this.#buffer.append(socket.read(Math.min(limit, socket.readableLength)));
        return true;
      }
      if (this.hasLeft || hasLeft(other) || (endsOutOfTurn && other.readableLength > 0)) return false;
      await change();
    }
  }
}

function hasLeft(socket: Socket): boolean {
  return socket.destroyed || socket.readableEnded || socket.errored !== null;
}

const CHANGES = ["end", "close", "error"] as const;

/** The longest message of a login is a password (PostgreSQL's PG_MAX_AUTH_TOKEN_LENGTH). */
const MAX_MESSAGE_BYTES = HEAD_BYTES + 65_535;
