/** How far an open connection has come, in words. */

/** The words for a state of src/connection/state.ts; anything else is shown as it is. */
export function describeState(state: string): string {
  return STATES.get(state) ?? state.replaceAll("_", " ");
}

/** The state an event of a connection leads to, or `null` when it leads to none. */
export function stateAfter(event: string): string | null {
  return STEPS.get(event) ?? null;
}

const STATES = new Map([
  ["accepted", "negotiating"],
  ["negotiated", "choosing route"],
  ["routed", "TLS handshake"],
  ["secured", "checking certificate"],
  ["identified", "waiting for login"],
  ["started", "asking for leave"],
  ["authorized", "dialling backend"],
  ["connected", "logging in"],
  ["opened", "in session"],
  ["closed", "closed"],
]);

const STEPS = new Map([
  ["connection.accepted", "accepted"],
  ["proxy_header.received", "accepted"],
  ["negotiation.completed", "negotiated"],
  ["route.chosen", "routed"],
  ["handshake.completed", "secured"],
  ["peer.verified", "identified"],
  ["startup.received", "started"],
  ["cancel.received", "started"],
  ["connection.authorized", "authorized"],
  ["backend.connected", "connected"],
  ["session.opened", "opened"],
]);
