/** One `[[proxy]]` as connections see it: configuration, loaded material, and who is in. */

import type { RouteConfig } from "../config/types.ts";
import type { Logins } from "../auth/logins.ts";
import type { CloseReason } from "../errors.ts";
import type { App } from "../scope/types.ts";
import type { TlsAcceptor } from "../tls/acceptor.ts";
import type { RouteMaterial } from "../tls/material.ts";
import type { Places } from "./places.ts";

/**
 * Everything a connection needs to know about its route. Immutable but for the count of sessions, which goes on when a
 * reload puts another in its place.
 */
export interface Route {
  readonly config: RouteConfig;
  /** `null` if and only if the listener does not do TLS. */
  readonly acceptor: TlsAcceptor | null;
  readonly material: RouteMaterial;
  /** `[[proxy.allow]]` as an app; `null` = no rule. */
  readonly rules: App | null;
  /** The connection app; `null` = none. */
  readonly app: App | null;
  /** Who may log in, where that is checked here. */
  readonly logins: Logins;
  /** Sessions past authorization, against `max_connections`. */
  readonly sessions: Places;
  /** CancelRequests being forwarded, against {@linkcode MAX_CANCELS}. */
  readonly cancels: Places;
  /** What the operator has been warned of: once a route is enough. */
  readonly warned: Set<CloseReason>;
}

/** CancelRequests that a route forwards at a time: PostgreSQL answers each within milliseconds. */
export const MAX_CANCELS = 64;
