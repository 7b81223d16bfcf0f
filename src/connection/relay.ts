/**
 * Stage 8: two half-duplex copies. The bytes are PostgreSQL's and nobody's business here; only how each stream ends
 * so far is watched (session_tail.ts), because a last word of ours fits between two messages and nowhere else.
 */

import type { Socket } from "node:net";
import { type CloseReason, StageError } from "../errors.ts";
import { SessionTail } from "./session_tail.ts";

/** Options of {@linkcode relay}. */
export interface RelayOptions {
  /** End the session when no byte has moved for this long, in milliseconds; 0 = never. */
  readonly idleTimeoutMs: number;
}

/** A session being relayed. */
export interface Session {
  /** Settles when both directions are done. Never rejects. */
  readonly ended: Promise<SessionEnd>;
  /** Whether the backend waits for the client's next query, outside a transaction. */
  isIdle(): boolean;
  /** Ends the session now, with `error` as its reason. */
  end(error: StageError): void;
}

/** How a session ended. */
export interface SessionEnd {
  readonly reason: CloseReason;
  /** Set unless a side closed in the ordinary way. */
  readonly error: StageError | null;
  /** Whether an ErrorResponse would be read as one: the client is there and its stream stands between messages. */
  readonly canAnswer: boolean;
}

/**
 * Copies both ways until both directions have ended. The end of one direction is passed on and ends only that
 * direction; each side gets the other's last bytes. A slow reader holds its sender back: nothing is buffered beyond
 * the sockets' own high-water marks.
 */
export function relay(client: Socket, backend: Socket, options: RelayOptions): Session {
  const tail = new SessionTail();
  let firstToClose: CloseReason | null = null;
  let settle: (end: SessionEnd) => void;
  const ended = new Promise<SessionEnd>((resolve) => settle = resolve);

  function end(error: StageError | null): void {
    client.unpipe(backend);
    backend.unpipe(client);
    const canAnswer = tail.isBetweenMessages() && client.writable;
    settle({ reason: error?.reason ?? firstToClose ?? "client_closed", error, canAnswer });
  }

  function lost(reason: CloseReason, error: Error): void {
    // After an orderly end a reset is how many peers hang up; it changes nothing.
    end(firstToClose === null ? new StageError(reason, error.message, { cause: error }) : null);
  }

  function backendEnded(): void {
    if (firstToClose === null && tail.isBetweenMessages() && !tail.hasTerminated()) {
      return end(new StageError("backend_lost", "Backend closed the connection without a word"));
    }
    firstToClose ??= "backend_closed";
    // PostgreSQL never half-closes: with the backend gone a silent client has nothing left to wait for.
    client.setTimeout(CLOSE_TIMEOUT_MS, () => end(null));
    client.end();
  }

  function clientClosed(): void {
    // Closed in order, so the backend has ended too: it may still be taking the client's last bytes.
    if (!client.readableEnded || !backend.readableEnded || backend.destroyed) return end(null);
    backend.setTimeout(CLOSE_TIMEOUT_MS, () => end(null));
    backend.once("close", () => end(null));
  }

  // While the backend was dialled the client may have ended its direction, or gone: those events are over.
  if (client.destroyed) {
    end(new StageError("client_lost", "Client dropped the connection before the backend answered"));
  }
  if (client.readableEnded) firstToClose = "client_closed";
  client.once("end", () => firstToClose ??= "client_closed");
  backend.once("end", backendEnded);
  client.once("error", (error) => lost("client_lost", error));
  backend.once("error", (error) => lost("backend_lost", error));
  client.once("close", clientClosed);
  backend.once(
    "close",
    () => backend.readableEnded || lost("backend_lost", new Error("Backend connection was lost")),
  );
  client.on("data", (chunk: Uint8Array) => tail.fromClient(chunk));
  backend.on("data", (chunk: Uint8Array) => tail.fromBackend(chunk));
  if (options.idleTimeoutMs > 0) {
    const message = `No byte in either direction for ${options.idleTimeoutMs} ms (idle_timeout)`;
    client.setTimeout(options.idleTimeoutMs, () => end(new StageError("idle_timeout", message)));
  }
  client.pipe(backend);
  backend.pipe(client, { end: false });
  return { ended, isIdle: () => tail.isIdle(), end };
}

// A client may answer late: ghostunnel raised its own limit from 1 s to 60 s because it cut valid traffic.
const CLOSE_TIMEOUT_MS = 60_000;
