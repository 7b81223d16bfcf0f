/** The two sides of a login as the modes of `auth` see them: whole messages, no sockets. */

import type { Message } from "../wire/message.ts";

/** The client, or the backend. */
export interface Peer {
  /**
   * The next message. What came behind it is kept for the next call, or for who takes over.
   *
   * @param limitBytes The largest body taken.
   * @returns `null` once one of the two sides has left (then there is nobody to log in, or nowhere), or speaks out of
   *   turn where the conversation is to end with that.
   * @throws {ProtocolError} If the message is larger, or its length word impossible.
   * @throws The reason of the stage's signal.
   */
  read(limitBytes: number): Promise<Message | null>;
  /** Lets this side finish: from now on its messages are read also when the other one has left. */
  finish(): void;
  /** What this side has said that nobody has read: after `null` or an error of {@linkcode read}, or at the end. */
  takeUnread(): Uint8Array;
  write(bytes: Uint8Array): void;
  /** Puts messages in front of what this side has yet to say, once it has been read: who takes over passes on both. */
  putAhead(...messages: readonly Uint8Array[]): void;
  /** Whether this side has ended its stream, and all it said was read, or has dropped the connection. */
  readonly hasLeft: boolean;
}

/** Both sides of one login. */
export interface Parties {
  readonly client: Peer;
  readonly backend: Peer;
}
