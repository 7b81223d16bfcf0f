/** Stage 8: the login, as far as it is ours. Takes `Authorized` and `Backend`; afterwards the relay carries bytes. */

import { type BindingConflict, passLogin } from "../auth/passthrough.ts";
import type { LoginBinding } from "../auth/scram.ts";
import type { AuthConfig } from "../config/types.ts";
import { sameBytes } from "../tls/path/der.ts";
import type { Authorized } from "./authorize.ts";
import type { Backend } from "./connect_backend.ts";
import { Conversation, type Handover } from "./conversation.ts";
import { Deadline } from "./deadline.ts";
import { leafOf, logIn } from "./log_in.ts";
import type { Login } from "./login.ts";

/** How the session was let through. */
export interface Authentication {
  readonly mode: AuthConfig["mode"];
  /** Which logins are bound to a certificate; `null` in passthrough, where nobody here knows. */
  readonly binding: LoginBinding | null;
  /** Gives away what either side has said meanwhile that is the other one's; `null` where nobody has listened. */
  readonly handOver: (() => Handover) | null;
}

/** `authentication_timeout`, where the login is ours. Else there is none: the time is between client and backend. */
export function authenticationDeadline({ mode, authenticationTimeoutMs: ms }: AuthConfig): Deadline {
  if (mode === "passthrough") return Deadline.never();
  return new Deadline(ms, "auth_timeout", `No login within ${ms} ms (authentication_timeout)`);
}

/**
 * Sends the StartupMessage and sees to the login as `auth.mode` says. Where that fails both sockets are left paused and without listeners.
 *
 * @throws {StageError} `channel_binding_conflict`, `auth_failed`, `auth_limited`, `backend_login_failed`,
 *   `backend_error`, `backend_untrusted`, `client_closed`, `backend_lost`, or the signal's reason.
 * @throws {ProtocolError} If the client breaks the exchange.
 */
export async function authenticate(
  authorized: Authorized,
  backend: Backend,
  options: { readonly login: Login; readonly signal: AbortSignal },
): Promise<Authentication> {
  const { stream, route } = authorized;
  const { mode } = route.config.auth;
  const { login, signal } = options;
  const conflict = mode === "passthrough" ? bindingConflict(leafOf(authorized), backend) : null;
  if (mode === "passthrough" && conflict === null) {
    backend.stream.write(login.bytes);
    return { mode, binding: null, handOver: null };
  }
  const parties = new Conversation(stream, backend.stream, { signal, endsOutOfTurn: mode === "passthrough" });
  const handOver = () => parties.handOver();
  parties.backend.write(login.bytes);
  try {
    if (mode !== "passthrough") {
      const binding = await logIn(authorized, backend, { user: login.user, parties, signal });
      return { mode, binding, handOver };
    }
    if (conflict !== null) await passLogin(parties, conflict);
    return { mode, binding: null, handOver };
  } catch (error) {
    await parties.release();
    throw error;
  }
}

/** Whether, and why, a login cannot be bound to what both sides see; `null` = nothing needs to be looked at. */
function bindingConflict(ours: Uint8Array | null, { tls }: Backend): BindingConflict | null {
  if (tls === null) return null;
  if (ours === null) return "client_in_clear";
  return tls.serverCert !== null && sameBytes(ours, tls.serverCert) ? null : "other_certificate";
}
