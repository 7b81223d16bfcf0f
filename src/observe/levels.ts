/** How loud each event is. */

import type { LogLevel } from "../config/types.ts";
import type { CloseReason } from "../errors.ts";
import type { PgtlsEvent } from "./events.ts";

/**
 * How loud an event is: error = an operator must act; warn = degraded; info = the server's life, one line for each
 * connection, every denial; debug = stages and routine noise such as health checks that connect and close.
 */
export function levelOf(event: PgtlsEvent): LogLevel {
  switch (event.event) {
    case "listener.failed":
    case "server.failed":
    case "app.failed":
    case "worker.failed":
      return "error";
    case "events.dropped":
    case "config.warning":
    case "tls.expiring":
    case "config.reload_failed":
    case "tls.reload_failed":
    case "connection.refused":
    case "lifespan.failed":
      return "warn";
    case "backend.failed":
      return event.reason === "backend_untrusted" ? "error" : "warn";
    case "authentication.failed":
      return OPERATORS_BUSINESS.has(event.reason) ? "warn" : "info";
    case "connection.closed":
      if (event.reason === "internal_error") return "error";
      return event.reason === "client_closed" && event.bytes_from_client === 0 ? "debug" : "info";
    case "config.loaded":
    case "config.reloaded":
    case "tls.loaded":
    case "tls.reloaded":
    case "server.started":
    case "worker.started":
    case "server.draining":
    case "server.stopped":
    case "admin.bound":
    case "admin.refused":
    case "listener.bound":
    case "listener.closed":
    case "peer.rejected":
    case "rule.denied":
    case "app.rejected":
      return "info";
    default:
      return "debug";
  }
}

/** Whether an event of `level` is wanted by somebody who wants `lowest` and everything louder. */
export function isAtLeast(level: LogLevel, lowest: LogLevel): boolean {
  return LEVELS.indexOf(level) >= LEVELS.indexOf(lowest);
}

/** From the quietest to the loudest. */
export const LEVELS: readonly LogLevel[] = ["trace", "debug", "info", "warn", "error"];

/** A login that failed because of the backend, or of what the configuration says about it. */
const OPERATORS_BUSINESS: ReadonlySet<CloseReason> = new Set(["backend_login_failed", "backend_untrusted"]);
