/** The two modes in which pgtls itself logs the client in, with what each needs to know of the connection. */

import type { BackendLeg } from "../auth/backend_login.ts";
import type { Guess } from "../auth/guess.ts";
import { passWithPassword } from "../auth/password.ts";
import { type LoginBinding, passWithScram } from "../auth/scram.ts";
import { verifierOf } from "../auth/verifiers.ts";
import { StageError } from "../errors.ts";
import { endPointHash } from "../tls/end_point_hash.ts";
import type { Authorized } from "./authorize.ts";
import type { Backend } from "./connect_backend.ts";
import { beginGuess, type Guessing, settleGuess, userOf } from "./guess.ts";

/** Options of {@linkcode logIn}. */
export interface LoginOptions extends Guessing {
  /** The user at the backend, which an app may have chosen; the client logs in as the one it named itself. */
  readonly user: string;
}

/** Logs the client in with `auth.mode`, and pgtls to the backend. @throws As the modes do. */
export async function logIn(
  authorized: Authorized,
  backend: Backend,
  options: LoginOptions,
): Promise<LoginBinding> {
  const { signal, parties } = options;
  let guess = null as Guess | null;
  const begin = async (password: Uint8Array | null = null) =>
    guess = await beginGuess(authorized, { parties, signal, password });
  try {
    const binding = await pass(authorized, backend, { ...options, beginGuess: begin });
    guess?.succeed();
    if (parties.client.hasLeft) throw clientClosed();
    return binding;
  } catch (error) {
    if (guess !== null) {
      // The answer may be kept back for a while, and for that nobody has to wait but the client.
      backend.stream.destroy();
      await settleGuess(guess, error, signal);
    }
    throw error;
  }
}

async function pass(
  authorized: Authorized,
  backend: Backend,
  { user: backendUser, parties, beginGuess }: LoginOptions & {
    readonly beginGuess: (password?: Uint8Array) => Promise<Guess>;
  },
): Promise<LoginBinding> {
  const { packet, tls, route: { config, logins } } = authorized;
  const user = userOf(packet);
  const common = { user, backendUser, leg: legOf(backend), beginGuess };
  if (config.auth.mode === "password") {
    // The configuration does not allow it; should it ever, a password must not cross the network in clear.
    if (tls === null) throw new Error("Cannot ask for a password outside TLS");
    return await passWithPassword(parties, common);
  }
  const { users, mock } = logins;
  if (users === null || mock === null) throw new Error("Cannot check SCRAM logins without users");
  const leaf = leafOf(authorized);
  const known = verifierOf(user, users, mock);
  return await passWithScram(parties, { ...common, known, endPointHash: leaf && endPointHash(leaf) });
}

function clientClosed(): StageError {
  return new StageError("client_closed", "Client closed the connection while the backend answered");
}

/** The certificate the client saw; `null` in clear. */
export function leafOf({ tls, route }: Authorized): Uint8Array | null {
  return tls && (route.material.listener?.leafDer ?? null);
}

function legOf({ tls }: Backend): BackendLeg {
  return { isTls: tls !== null, endPointHash: tls?.serverCert ? endPointHash(tls.serverCert) : null };
}
