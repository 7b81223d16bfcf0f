/** The two modes in which pgtls itself logs the client in, with what each needs to know of the connection. */

import type { BackendLeg } from "../auth/backend_login.ts";
import { passWithPassword } from "../auth/password.ts";
import type { Parties } from "../auth/peer.ts";
import { type LoginBinding, passWithScram } from "../auth/scram.ts";
import { verifierOf } from "../auth/verifiers.ts";
import { wrongPassword } from "../auth/wrong_password.ts";
import { endPointHash } from "../tls/end_point_hash.ts";
import type { Authorized } from "./authorize.ts";
import type { Backend } from "./connect_backend.ts";

/** Options of {@linkcode logIn}. */
export interface LoginOptions {
  /** The user at the backend, which an app may have chosen; the client logs in as the one it named itself. */
  readonly user: string;
  readonly parties: Parties;
}

/** Logs the client in with `auth.mode`, and pgtls to the backend. @throws As the modes do. */
export async function logIn(
  authorized: Authorized,
  backend: Backend,
  { user: backendUser, parties }: LoginOptions,
): Promise<LoginBinding> {
  const { client, packet, tls, route: { config, logins } } = authorized;
  const user = userOf(packet);
  const common = { user, leg: legOf(backend), requireGuess: () => requireGuess(authorized) };
  let binding: LoginBinding;
  if (config.auth.mode === "password") {
    // The configuration does not allow it; should it ever, a password must not cross the network in clear.
    if (tls === null) throw new Error("Cannot ask for a password outside TLS");
    binding = await passWithPassword(parties, { ...common, backendUser });
  } else {
    const { users, mock } = logins;
    if (users === null || mock === null) throw new Error("Cannot check SCRAM logins without users");
    const leaf = leafOf(authorized);
    const known = verifierOf(user, users, mock);
    binding = await passWithScram(parties, {
      ...common,
      backendUser,
      known,
      endPointHash: leaf && endPointHash(leaf),
    });
  }
  logins.attempts.succeed(client, guessedUser(authorized));
  return binding;
}

/** @throws {StageError} `auth_limited` if too many wrong passwords have come for this user, or from this network. */
export function requireGuess(authorized: Authorized): void {
  const { client, packet, route } = authorized;
  if (!route.logins.attempts.isBlocked(client, guessedUser(authorized))) return;
  const why = "too many wrong passwords came before, expected a pause";
  throw wrongPassword(userOf(packet), { reason: "auth_limited", why });
}

/**
 * Whose password it is that a client guesses: one that goes on to the backend is of the user there, whatever the client
 * called itself to an app that has chosen that one.
 */
export function guessedUser({ packet, login, route }: Authorized): string {
  const { mode } = route.config.auth;
  return mode === "password" && login !== null ? login.user : userOf(packet);
}

/** The certificate the client saw; `null` in clear. */
export function leafOf({ tls, route }: Authorized): Uint8Array | null {
  return tls && (route.material.listener?.leafDer ?? null);
}

/** The user the client names. */
export function userOf(packet: Authorized["packet"]): string {
  return (packet.kind === "startup_message" && packet.parameters.get("user")) || "";
}

function legOf({ tls }: Backend): BackendLeg {
  return { isTls: tls !== null, endPointHash: tls?.serverCert ? endPointHash(tls.serverCert) : null };
}
