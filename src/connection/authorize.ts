/** Stage 6: whether this client may have this session. Takes `Started`, gives `Authorized`. Nothing is dialled before. */

import { StageError } from "../errors.ts";
import type { Started } from "./startup.ts";

/** The client may go on to the backend. */
export interface Authorized extends Started {
  /** Gives the session's place in `max_connections` back; safe to call twice. */
  readonly leave: () => void;
}

/**
 * Admits the session within the route's `max_connections`. A CancelRequest needs no place:
 * a full route is when somebody wants to cancel something.
 *
 * @throws {StageError} `limit_reached`.
 */
export function authorize(started: Started): Authorized {
  if (started.packet.kind === "cancel_request") return { ...started, leave: () => {} };
  const { sessions, config } = started.route;
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
