/** One side of a login: what its socket brings as whole messages, past its stream where that can be done. */

import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import type { Peer } from "../auth/peer.ts";
import { contentless } from "../tls/handshake_bound.ts";
import { HEAD_BYTES, type Message } from "../wire/message.ts";
import { type DirectEnds, openEnds } from "./direct_ends.ts";
import type { SinkOwner, SinkSocket } from "./direct_sink.ts";
import type { SourceOwner } from "./direct_source.ts";
import { concat, Incoming } from "./incoming.ts";
import type { StreamHandle } from "./native_handle.ts";

/** Options of a conversation. */
export interface ConversationOptions {
  /** Ends every wait. */
  readonly signal: AbortSignal;
  /**
   * Whether a side that speaks while the other one is waited for ends the conversation as if it had left: for a caller
   * who then passes on what either says, because somebody does not wait for his turn.
   */
  readonly endsOutOfTurn?: boolean;
}

/** What a side knows of the conversation it is part of. */
export interface Surroundings extends ConversationOptions {
  readonly other: () => SocketPeer;
  /** Resolves when anything has happened on either side, or to the signal. */
  readonly change: () => Promise<void>;
  readonly changed: () => void;
  /** The handles of both sides, this one's first; `null` where their streams are used. */
  readonly handles: { readonly own: StreamHandle; readonly other: StreamHandle } | null;
}

/** Listens to its socket once for a whole login. */
export class SocketPeer implements Peer, SourceOwner, SinkOwner, SinkSocket {
  readonly socket: Socket;
  readonly ends: DirectEnds | null;
  readonly #surroundings: Surroundings;
  readonly #incoming = new Incoming();
  #ahead: readonly Uint8Array[] = [];
  #mayFinish = false;
  #isPaused = false;

  constructor(socket: Socket, surroundings: Surroundings) {
    this.socket = socket;
    this.#surroundings = surroundings;
    this.ends = surroundings.handles && openEnds(socket, surroundings.handles, this);
    for (const event of CHANGES) socket.on(event, surroundings.changed);
  }

  /** Begins to read. Call it once both sides are there. */
  start(): void {
    if (this.ends !== null) {
      // An end that the stream has seen and not told yet.
      this.socket.read(0);
      return this.ends.source.start();
    }
    this.socket.on("data", this.#onData);
    // On() alone does not, when the socket was paused before.
    this.socket.resume();
  }

  get destroyed(): boolean {
    return this.socket.destroyed;
  }

  get hasLeft(): boolean {
    const { destroyed, errored, readableEnded } = this.socket;
    return destroyed || errored !== null || (readableEnded && this.#incoming.length === 0);
  }

  get hasUnread(): boolean {
    return this.#incoming.length > 0;
  }

  /** Whether it does not take what it is told: then who speaks to it has to wait, and nothing piles up here. */
  get isBehind(): boolean {
    if (this.destroyed) return false;
    return this.ends === null ? this.socket.writableNeedDrain : this.ends.sink.pending >= HIGH_WATER_BYTES;
  }

  async read(limitBytes: number): Promise<Message | null> {
    const { other, signal, endsOutOfTurn, change } = this.#surroundings;
    while (true) {
      signal.throwIfAborted();
      const isAlone = other().hasLeft && !this.#mayFinish;
      if (other().isBehind && !isAlone) {
        await change();
        continue;
      }
      const message = this.#incoming.next(limitBytes);
      if (message !== null) return message;
      if (this.socket.readableEnded || this.hasLeft) return null;
      if (isAlone) return null;
      if (endsOutOfTurn && other().hasUnread) return null;
      if (this.#isPaused) this.#resume();
      await change();
    }
  }

  finish(): void {
    this.#mayFinish = true;
  }

  takeUnread(): Uint8Array {
    const parts = [...this.#ahead, this.#incoming.takeAll()];
    this.#ahead = [];
    return parts.length === 1 ? parts[0]! : concat(parts);
  }

  write(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.ends === null) this.socket.write(bytes);
    else this.ends.sink.write(bytes);
  }

  putAhead(...messages: readonly Uint8Array[]): void {
    this.#ahead = messages;
  }

  /** The source's. Its buffer is everybody's: a secret must not be left lying there. */
  take(bytes: Uint8Array): boolean {
    this.#receive(bytes.slice());
    bytes.fill(0);
    return false;
  }

  /** The source's: the socket tells all there is to tell. */
  ending(): void {}

  /** The source's. */
  flooded(): void {
    this.socket.destroy(contentless());
  }

  /** The sink's. */
  progressed(): void {
    this.#surroundings.changed();
  }

  /** Stops reading; what comes from here on is dropped, when the socket is resumed. */
  stop(): void {
    if (this.destroyed) return;
    this.socket.pause();
    this.ends?.source.discard();
  }

  /** Resolves when what was written has been taken by the system, or by the stream; destroys a socket that will not. */
  async flushed(): Promise<void> {
    if (this.#isFlushed) return;
    const late = setTimeout(() => this.socket.destroy(), LAST_BYTES_MS);
    while (!this.#isFlushed) await this.#surroundings.change();
    clearTimeout(late);
  }

  /** Listens no more. */
  release(): void {
    for (const event of CHANGES) this.socket.removeListener(event, this.#surroundings.changed);
    if (this.ends !== null) return;
    this.socket.removeListener("data", this.#onData);
    this.socket.pause();
  }

  get #isFlushed(): boolean {
    return this.ends === null || this.ends.sink.pending === 0 || this.destroyed;
  }

  readonly #onData = ({ buffer, byteOffset, length }: Buffer<ArrayBuffer>): void => {
    // Not as a Buffer, whose parts are slower to make and to search.
    this.#receive(new Uint8Array(buffer, byteOffset, length));
  };

  #receive(chunk: Uint8Array): void {
    this.#incoming.add(chunk);
    // More than the longest message: nobody waits for it to be complete.
    if (this.#incoming.length > MAX_MESSAGE_BYTES) this.#pause();
    this.#surroundings.changed();
  }

  #pause(): void {
    this.#isPaused = true;
    if (this.ends === null) this.socket.pause();
    else this.ends.source.pause();
  }

  #resume(): void {
    this.#isPaused = false;
    if (this.ends === null) this.socket.resume();
    else this.ends.source.resume();
  }
}

const CHANGES = ["end", "close", "error", "drain"] as const;

/** The longest message of a login is a password (PostgreSQL's PG_MAX_AUTH_TOKEN_LENGTH). */
const MAX_MESSAGE_BYTES = HEAD_BYTES + 65_535;

// As in a session (direction.ts): the socket itself holds more than a login says, unless nobody reads.
const HIGH_WATER_BYTES = 64 * 1024;

// As long as a refusal may take to be read (socket.ts).
const LAST_BYTES_MS = 3_000;
