/** The two sides of a login as the modes of `auth` see them: whole messages, no sockets. */

import type { Message } from "../wire/message.ts";

/** The client, or the backend. */
export interface Peer {
  /**
   * The next message, taken off the stream to its last byte and no further.
   *
   * @param limitBytes The largest body taken.
   * @returns `null` once one of the two sides has left (then there is nobody to log in, or nowhere), or speaks out of
   *   turn where the conversation is to end with that.
   * @throws {ProtocolError} If the message is larger, or its length word impossible.
   * @throws The reason of the stage's signal.
   */
  read(limitBytes: number): Promise<Message | null>;
  /** Bytes read that are no whole message: after `null` or an error of {@linkcode read}. */
  takeUnread(): Uint8Array;
  write(bytes: Uint8Array): void;
  /** Puts bytes in front of what this side has yet to say: whoever reads on takes them for its own words. */
  putBack(...messages: readonly Uint8Array[]): void;
  /** Whether this side has ended its stream or dropped the connection. */
  readonly hasLeft: boolean;
}

/** Both sides of one login. */
export interface Parties {
  readonly client: Peer;
  readonly backend: Peer;
}
