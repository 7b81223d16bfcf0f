/**
 * The states of a connection and every step between them. Nothing else decides what may follow what.
 * docs/connection_states.md is drawn from this table; a test fails when it is stale.
 */

/** Where a connection is. Each state names what is known by then. */
export type State =
  | "accepted"
  | "negotiated"
  | "routed"
  | "secured"
  | "identified"
  | "started"
  | "authorized"
  | "connected"
  | "opened"
  | "closed";

/** What moves a connection on; each is also an event of the log (observe/events.ts). */
export type Step =
  | "proxy_header.received"
  | "negotiation.completed"
  | "route.chosen"
  | "handshake.completed"
  | "peer.verified"
  | "startup.received"
  | "cancel.received"
  | "connection.authorized"
  | "backend.connected"
  | "session.opened"
  | "connection.closed";

/** From each state, the steps it allows and where they lead. A step that is absent is a bug of ours. */
export const TRANSITIONS = {
  accepted: {
    "proxy_header.received": "accepted",
    "negotiation.completed": "negotiated",
    "connection.closed": "closed",
  },
  negotiated: { "route.chosen": "routed", "connection.closed": "closed" },
  routed: { "handshake.completed": "secured", "connection.closed": "closed" },
  secured: { "peer.verified": "identified", "connection.closed": "closed" },
  identified: { "startup.received": "started", "cancel.received": "started", "connection.closed": "closed" },
  started: { "connection.authorized": "authorized", "connection.closed": "closed" },
  authorized: { "backend.connected": "connected", "connection.closed": "closed" },
  // A CancelRequest in clear may be for several backends.
  connected: {
    "backend.connected": "connected",
    "session.opened": "opened",
    "connection.closed": "closed",
  },
  opened: { "connection.closed": "closed" },
  closed: {},
} as const satisfies Record<State, Partial<Record<Step, State>>>;

/**
 * The state after `step`.
 *
 * @throws {Error} If `state` does not allow `step`; nothing changes then.
 */
export function advance(state: State, step: Step): State {
  const next = (TRANSITIONS[state] as Partial<Record<Step, State>>)[step];
  if (next === undefined) throw new Error(`Cannot take step "${step}" in state "${state}"`);
  return next;
}

/** The table as a Mermaid state diagram, for docs/connection_states.md. */
export function renderDiagram(): string {
  const arrows = Object.entries(TRANSITIONS).flatMap(([from, steps]) =>
    Object.entries(steps).map(([step, to]) => `  ${from} --> ${to}: ${step}`)
  );
  return ["stateDiagram-v2", "  [*] --> accepted: connection.accepted", ...arrows, "  closed --> [*]"].join(
    "\n",
  );
}
