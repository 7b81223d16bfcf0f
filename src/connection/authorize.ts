/** Stage 6: whether this client may have this session. Takes `Started`, gives `Authorized`. Nothing is dialled before. */

import { StageError } from "../errors.ts";
import type { Started } from "./startup.ts";

/** The client may go on to the backend. */
export interface Authorized extends Started {
  /** Gives the session's place in `max_connections` back; safe to call twice. */
  readonly leave: () => void;
}

/**
 * Admits the session within the route's `max_connections`. A CancelRequest needs no place there, because a full route
 * is when somebody wants to cancel something; but anybody may send one, and each costs a connection to the backend,
 * so there is a number of them that a route forwards at a time.
 *
 * @throws {StageError} `limit_reached`.
 */
export function authorize(started: Started): Authorized {
  const { sessions, cancels, config } = started.route;
  if (started.packet.kind === "cancel_request") {
    const leave = cancels.enter();
    if (leave === null) throw new StageError("limit_reached", "Cannot forward more CancelRequests at a time");
    return { ...started, leave };
  }
  const leave = sessions.enter();
  if (leave === null) {
    const { maxConnections } = config.listener;
    throw new StageError(
      "limit_reached",
      `Cannot admit more than ${maxConnections} sessions (max_connections)`,
    );
  }
  return { ...started, leave };
}
