/** A session that is being relayed, and how it ends: what everybody but the relay knows of it. */

import type { Socket } from "node:net";
import type { CloseReason, StageError } from "../errors.ts";

/** A session being relayed. */
export interface Session {
  /** Settles when both directions are done. Never rejects. */
  readonly ended: Promise<SessionEnd>;
  /** The same without a promise, which of thousands of sessions are much: calls back, later, when both are done. */
  onEnded(listener: (end: SessionEnd) => void): void;
  /** Whether the backend waits for the client's next query, outside a transaction. */
  isIdle(): boolean;
  /** Bytes received so far from the client and from the backend, without TLS. */
  readonly bytesRead: { readonly client: number; readonly backend: number };
  /** A number that grows with every byte from the network, also while it is no whole record of TLS yet. */
  readonly activity: number;
  /** The client's socket, for last words. */
  readonly client: Socket;
  /** Ends the session now, with `error` as its reason. */
  end(error: StageError): void;
  /** Closes both legs at once. */
  destroy(): void;
}

/** How a session ended. */
export interface SessionEnd {
  readonly reason: CloseReason;
  /** Set unless a side closed in the ordinary way. */
  readonly error: StageError | null;
  /** Whether an ErrorResponse would be read as one: the client is there and its stream stands between messages. */
  readonly canAnswer: boolean;
}
