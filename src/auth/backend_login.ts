/** pgtls as the client of SCRAM: logs in to the backend with keys, bound to the certificate it has verified. */

import { StageError } from "../errors.ts";
import { encodeSaslInitialResponse, encodeSaslResponse } from "../wire/password_message.ts";
import { type AuthenticationRequest, SCRAM_SHA_256, SCRAM_SHA_256_PLUS } from "../wire/authentication.ts";
import type { ScramKeys } from "../wire/scram.ts";
import { type ScramBinding, ScramClient } from "../wire/scram_client.ts";
import type { ServerFirst } from "../wire/scram_messages.ts";
import type { Guess } from "./guess.ts";
import { makeNonce, sha256 } from "./hashing.ts";
import type { Parties } from "./peer.ts";
import { blamed, readRequest, unanswered } from "./requests.ts";

/** What can be bound to on the backend leg. */
export interface BackendLeg {
  readonly isTls: boolean;
  /** The hash of the backend's leaf; `null` in plaintext, and for a certificate that has none (Ed25519). */
  readonly endPointHash: Uint8Array | null;
}

/** Options of {@linkcode logInWithScram}. */
export interface BackendLogin {
  readonly offer: AuthenticationRequest & { readonly kind: "sasl" };
  readonly leg: BackendLeg;
  /** The keys for the backend's salt and iterations; throws if there are none. They are wiped after use. */
  readonly keysFor: (challenge: ServerFirst) => ScramKeys | Promise<ScramKeys>;
  /** What the proof is made of, if the backend is the first to say whether it is right. @default null */
  readonly guess?: Guess | null;
}

/**
 * Answers the backend's offer with SCRAM-SHA-256-PLUS where both sides can, else with SCRAM-SHA-256, and returns once
 * the backend has shown that it knows the verifier and has let the session in.
 *
 * @returns Whether the login is bound to the backend's certificate.
 * @throws {BackendRefusal} If it says no.
 * @throws {StageError} `backend_login_failed` for a backend that breaks the exchange; `backend_untrusted` for one that
 *   does not know the verifier.
 */
export async function logInWithScram(parties: Parties, login: BackendLogin): Promise<boolean> {
  const { backend } = parties;
  const { offer, leg, keysFor, guess = null } = login;
  const binding = requireScram(offer, leg);
  const scram = new ScramClient({ nonce: makeNonce(), binding, hashing: sha256 });
  backend.write(encodeSaslInitialResponse(scram.mechanism, scram.first()));
  const serverFirst = await expect(parties, "sasl_continue");
  const keys = await keysFor(blamed(() => scram.challenge(serverFirst)));
  const proof = scram.final(keys);
  keys.clientKey.fill(0);
  guess?.ask();
  backend.write(encodeSaslResponse(proof));
  const serverFinal = await expect(parties, "sasl_final");
  if (!blamed(() => scram.verify(serverFinal))) {
    throw new StageError(
      "backend_untrusted",
      "Backend does not know the verifier it asked to be proven against",
    );
  }
  // Only keys of the right password fit the backend's signature. What it refuses now it refuses for something else.
  guess?.succeed();
  const last = await readRequest(parties, { isFirst: false });
  if (last.kind !== "ok") throw unanswered(last, "the end of the login");
  return binding.kind === "bound";
}

/**
 * What an offer can be answered with; asked before the client is troubled for its password.
 *
 * @throws {StageError} `backend_login_failed` if it is nothing of ours.
 */
export function requireScram(offer: BackendLogin["offer"], leg: BackendLeg): ScramBinding {
  const binding = bindingFor(offer.mechanisms, leg);
  if (binding === null) throw unanswered(offer, SCRAM_SHA_256);
  return binding;
}

/**
 * `y` (could bind, was not offered) wherever it is true: a backend that did offer it then finds out that somebody
 * between has taken the offer away.
 */
function bindingFor(mechanisms: readonly string[], { isTls, endPointHash }: BackendLeg): ScramBinding | null {
  if (endPointHash !== null && mechanisms.includes(SCRAM_SHA_256_PLUS)) {
    return { kind: "bound", endPointHash };
  }
  if (!mechanisms.includes(SCRAM_SHA_256)) return null;
  return isTls && endPointHash !== null ? { kind: "not_offered" } : { kind: "unsupported" };
}

async function expect(parties: Parties, kind: "sasl_continue" | "sasl_final"): Promise<Uint8Array> {
  const request = await readRequest(parties, { isFirst: false });
  if (request.kind !== kind) throw unanswered(request, "the next step of SCRAM");
  return request.data;
}
