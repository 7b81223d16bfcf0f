/**
 * Mode `scram`: the client logs in to pgtls, pgtls to the backend, each bound to its own leg's certificate.
 *
 * No password is known here. The client's proof holds its ClientKey (RFC 5802 section 3), and whoever has that and the
 * same salt and iterations can prove himself to the backend as well.
 */

import { StageError } from "../errors.ts";
import { encodeAuthentication, SCRAM_SHA_256_PLUS } from "../wire/authentication.ts";
import { decodeSaslInitialResponse, decodeSaslResponse } from "../wire/password_message.ts";
import { type ScramProven, ScramServer } from "../wire/scram_server.ts";
import type { ScramVerifier } from "../wire/scram.ts";
import type { ServerFirst } from "../wire/scram_messages.ts";
import { type BackendLeg, logInWithScram, requireScram } from "./backend_login.ts";
import type { Guess } from "./guess.ts";
import { makeNonce, sha256 } from "./hashing.ts";
import type { Parties } from "./peer.ts";
import { BackendRefusal, readClient, readRequest, unanswered } from "./requests.ts";
import { wrongPassword } from "./wrong_password.ts";
import type { KnownVerifier } from "./verifiers.ts";

/** Options of {@linkcode passWithScram}. */
export interface ScramOptions {
  /** The user the client named. */
  readonly user: string;
  /** The user at the backend, which an app may have chosen. */
  readonly backendUser: string;
  readonly known: KnownVerifier;
  /** The hash of the certificate the client saw; `null` = channel binding is not offered. */
  readonly endPointHash: Uint8Array | null;
  readonly leg: BackendLeg;
  /** Called when the proof is there; throws if this client may not guess any more. */
  readonly beginGuess: () => Promise<Guess>;
}

/** How a login went that succeeded. */
export interface LoginBinding {
  /** Whether the client's login is bound to the listener's certificate. */
  readonly client: boolean;
  /** Whether pgtls's login is bound to the backend's; `null` where the backend asked for none. */
  readonly backend: boolean | null;
}

/**
 * Logs the client in, and then pgtls to the backend. The client hears that its proof was right only when the backend
 * has let the session in as well.
 *
 * @throws {StageError} `auth_failed` for the client's fault, `backend_login_failed` for the operator's.
 * @throws {BackendRefusal} If the backend refuses the session for a reason of its own.
 * @throws {ProtocolError} If the client breaks the exchange.
 */
export async function passWithScram(parties: Parties, options: ScramOptions): Promise<LoginBinding> {
  const { user, backendUser, known: { verifier }, leg } = options;
  const request = await readRequest(parties, { isFirst: true });
  if (request.kind !== "ok" && request.kind !== "sasl") {
    throw unanswered(request, 'SCRAM-SHA-256 or trust, because no password is known in auth.mode = "scram"');
  }
  if (request.kind === "sasl") requireScram(request, leg);
  const { isBound, clientKey, serverFinal } = await proveClient(parties, options);
  try {
    if (request.kind === "sasl" && backendUser !== user) throw otherUser(user, backendUser);
    const keys = { clientKey, serverKey: verifier.serverKey, storedKey: verifier.storedKey };
    const keysFor = (challenge: ServerFirst) => {
      if (isOfSamePassword(verifier, challenge)) return keys;
      throw outdated(user, "salt or iterations are others");
    };
    const backend = request.kind === "ok"
      ? null
      : await logInWithScram(parties, { offer: request, leg, keysFor }).catch((error) =>
        explain(error, user)
      );
    // In one piece with what the backend says next, which saves the client and the relay a write.
    parties.backend.putAhead(
      encodeAuthentication({ kind: "sasl_final", data: serverFinal }),
      encodeAuthentication({ kind: "ok" }),
    );
    return { client: isBound, backend };
  } finally {
    clientKey.fill(0);
  }
}

/** The whole exchange with the client, up to its proof. */
async function proveClient(
  parties: Parties,
  options: ScramOptions,
): Promise<ScramProven & { isBound: boolean }> {
  const { client } = parties;
  const { user, known: { verifier, exists }, endPointHash, beginGuess } = options;
  const scram = new ScramServer({ verifier, nonce: makeNonce(), endPointHash, hashing: sha256 });
  client.write(encodeAuthentication({ kind: "sasl", mechanisms: scram.mechanisms }));
  const { mechanism, data } = decodeSaslInitialResponse(await readClient(parties, MAX_SASL_BYTES));
  const first = scram.first(mechanism, data ?? await askAgain(parties));
  client.write(encodeAuthentication({ kind: "sasl_continue", data: first }));
  const final = decodeSaslResponse(await readClient(parties, MAX_SASL_BYTES));
  const guess = await beginGuess();
  const proven = scram.final(final);
  final.fill(0);
  if (proven === null) {
    throw wrongPassword(user, {
      why: exists ? "the password is wrong" : "there is no such user in auth_file",
    });
  }
  guess.succeed();
  return { ...proven, isBound: mechanism === SCRAM_SHA_256_PLUS };
}

/** A client that sends nothing with its choice is asked with an empty challenge, as PostgreSQL does. */
async function askAgain(parties: Parties): Promise<Uint8Array> {
  parties.client.write(encodeAuthentication({ kind: "sasl_continue", data: new Uint8Array(0) }));
  return decodeSaslResponse(await readClient(parties, MAX_SASL_BYTES));
}

/** The same password gives other keys for another salt or count. */
function isOfSamePassword({ salt, iterations }: ScramVerifier, challenge: ServerFirst): boolean {
  return iterations === challenge.iterations && sha256.isEqual(salt, challenge.salt);
}

/** After a right proof a refusal for the password means that the two verifiers are not the same. */
function explain(error: unknown, user: string): never {
  const isForPassword = error instanceof BackendRefusal && error.fields.sqlstate.startsWith("28");
  throw isForPassword ? outdated(user, `it says "${error.fields.message}"`, error) : error;
}

function outdated(user: string, why: string, cause?: unknown): StageError {
  return wrongPassword(user, {
    reason: "backend_login_failed",
    why:
      `the verifier in auth_file is not the backend's (${why}), expected SELECT rolpassword FROM pg_authid`,
    cause,
  });
}

/** A ClientKey is one user's: it proves nothing about the one that an app has put in his place. */
function otherUser(user: string, backendUser: string): StageError {
  return wrongPassword(user, {
    reason: "backend_login_failed",
    why: `the app lets it in as "${backendUser}", and the backend asks for that user's password: ` +
      'expected trust or cert for it there, or auth.mode = "password"',
  });
}

/** PostgreSQL's PG_MAX_SASL_MESSAGE_LENGTH. */
const MAX_SASL_BYTES = 1_024;
