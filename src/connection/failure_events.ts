/** What is told of a connection that has failed, beside its closing line: which step did not come about, and why. */

import { type CloseReason, type Failure, PeerRejectedError, type Problem } from "../errors.ts";
import type { EventBody } from "../observe/events.ts";
import type { Route } from "./route.ts";
import type { Started } from "./startup.ts";
import type { State } from "./state.ts";

/** Where a connection was when it failed. */
export interface FailedAt {
  readonly state: State;
  /** What its first packet is; `null` = none has come. */
  readonly packet: Started["packet"]["kind"] | null;
  /** What was thrown. */
  readonly cause: unknown;
}

/** The events, in order. */
export function failureEvents(failure: Failure, at: FailedAt): EventBody[] {
  const { reason, detail } = failure;
  const events: EventBody[] = [];
  if (at.cause instanceof PeerRejectedError) {
    events.push({ event: "peer.rejected", code: at.cause.code, detail: at.cause.message });
  }
  const failed = FAILED_STEPS[at.state];
  if (failed !== undefined && !DEPARTURES.has(reason)) events.push({ event: failed, reason, detail });
  if (reason === "rule_denied") events.push({ event: "rule.denied", detail });
  if (reason === "app_failed") events.push({ event: "app.failed", detail });
  if (reason === "app_rejected") events.push(...appRejected(failure));
  if (isLoginFailure(reason, at)) events.push({ event: "authentication.failed", reason, detail });
  else if (at.state === "authorized" && reason !== "app_failed") {
    events.push({ event: "backend.failed", reason, detail });
  }
  return events;
}

/** What the operator can mend is said once a route, and louder than one client's refusal; `null` = said, or not so. */
export function bindingWarning({ config, warned }: Route, { reason, detail }: Failure): Problem | null {
  if (reason !== "channel_binding_conflict" || warned.has(reason)) return null;
  warned.add(reason);
  return { path: `proxy[${config.index}].auth.mode`, route: config.name, message: detail };
}

function appRejected({ answer, detail }: Failure): EventBody[] {
  if (answer === null) return [];
  const { sqlstate, message } = answer;
  return [{ event: "app.rejected", sqlstate, message, detail: detail === message ? null : detail }];
}

/** A login ends between `connected` and `opened`; who merely leaves has not failed. */
function isLoginFailure(reason: CloseReason, { state, packet }: FailedAt): boolean {
  if (reason === "auth_limited") return true;
  return state === "connected" && packet === "startup_message" && !DEPARTURES.has(reason);
}

/** What did not come about when a connection ends in this state. */
const FAILED_STEPS: Partial<Record<State, "negotiation.failed" | "handshake.failed">> = {
  accepted: "negotiation.failed",
  negotiated: "handshake.failed",
  routed: "handshake.failed",
};

const DEPARTURES: ReadonlySet<CloseReason> = new Set([
  "client_closed",
  "client_lost",
  "backend_lost",
  "server_draining",
]);
