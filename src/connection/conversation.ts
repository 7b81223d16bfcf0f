/** A login between two legs: whole messages from either side, and an eye on the other one meanwhile. */

import type { Socket } from "node:net";
import type { Parties } from "../auth/peer.ts";
import { type DirectEnds, handlesPast } from "./direct_ends.ts";
import { type ConversationOptions, SocketPeer } from "./socket_peer.ts";

/** What a login leaves to whoever carries the session from here on. */
export interface Handover {
  /** What each side has said that was read and goes to the other one: before anything its socket has yet to give. */
  readonly fromClient: Uint8Array;
  readonly fromBackend: Uint8Array;
  /** What reads and writes the legs now; `null` where their streams do. */
  readonly ends: { readonly client: DirectEnds; readonly backend: DirectEnds } | null;
}

/** Client and backend, until {@linkcode handOver} or {@linkcode release}. A login waits many times, and shortly. */
export class Conversation implements Parties {
  readonly client: SocketPeer;
  readonly backend: SocketPeer;
  readonly #signal: AbortSignal;
  #wake: (() => void) | null = null;

  /** Goes past the streams of both sockets if nothing waits in them. */
  constructor(client: Socket, backend: Socket, options: ConversationOptions) {
    this.#signal = options.signal;
    const [change, changed] = [() => this.#change(), this.#changed];
    const handles = handlesPast(client, backend);
    const [toBackend, toClient] = handles === null
      ? [null, null]
      : [{ own: handles.client, other: handles.backend }, { own: handles.backend, other: handles.client }];
    const common = { change, changed, ...options };
    this.client = new SocketPeer(client, { other: () => this.backend, handles: toBackend, ...common });
    this.backend = new SocketPeer(backend, { other: () => this.client, handles: toClient, ...common });
    this.#signal.addEventListener("abort", changed);
    this.client.start();
    this.backend.start();
  }

  /**
   * Gives away what was read and not asked for, and the ends it comes from and goes to. The conversation is over: whoever
   * takes them over does so at once, because what comes from now on is his.
   */
  handOver(): Handover {
    const [client, backend] = [this.client.ends, this.backend.ends];
    const [fromClient, fromBackend] = [this.client.takeUnread(), this.backend.takeUnread()];
    this.#leave();
    return { fromClient, fromBackend, ends: client && backend && { client, backend } };
  }

  /**
   * Ends a conversation that leads to no session: leaves both sockets paused and without a listener. What comes from now on
   * is dropped. Resolves when what was written has been taken, so that last words come behind it; for a bounded time.
   */
  async release(): Promise<void> {
    this.client.stop();
    this.backend.stop();
    await this.client.flushed();
    this.#leave();
  }

  #leave(): void {
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
