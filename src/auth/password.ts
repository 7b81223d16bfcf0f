/**
 * Mode `password`: the client's password comes in clear inside its TLS, and goes to the backend only as a proof.
 * For routes whose users have no verifier that could be listed.
 */

import { createHash } from "node:crypto";
import { StageError } from "../errors.ts";
import { type AuthenticationRequest, encodeAuthentication } from "../wire/authentication.ts";
import { decodePasswordMessage, encodePasswordMessage } from "../wire/password_message.ts";
import type { ServerFirst } from "../wire/scram_messages.ts";
import { type BackendLeg, logInWithScram, requireScram } from "./backend_login.ts";
import type { Guess } from "./guess.ts";
import { deriveKeys } from "./hashing.ts";
import type { Parties } from "./peer.ts";
import { BackendRefusal, readClient, readRequest, unanswered } from "./requests.ts";
import { preparePassword } from "./saslprep.ts";
import type { LoginBinding } from "./scram.ts";
import { wrongPassword } from "./wrong_password.ts";

/** Options of {@linkcode passWithPassword}. */
export interface PasswordOptions {
  /** The user the client named. */
  readonly user: string;
  /** The user of the StartupMessage that went to the backend. */
  readonly backendUser: string;
  /** Called with the password when it is there; throws if this client may not guess any more. */
  readonly beginGuess: (password: Uint8Array) => Promise<Guess>;
  readonly leg: BackendLeg;
}

/**
 * Asks the client for its password if the backend wants one, and logs in with it.
 *
 * @throws {StageError} `auth_failed` if the backend does not accept the password, `backend_login_failed` if it asks for
 *   what is not answered: never a password in clear, and in plaintext nothing but SCRAM.
 * @throws {BackendRefusal} If the backend refuses the session for another reason.
 * @throws {ProtocolError} If the client answers with something else than a password.
 */
export async function passWithPassword(parties: Parties, options: PasswordOptions): Promise<LoginBinding> {
  const { client } = parties;
  const request = await readRequest(parties, { isFirst: true });
  const ok = encodeAuthentication({ kind: "ok" });
  if (request.kind === "ok") {
    parties.backend.putAhead(ok);
    return { client: false, backend: null };
  }
  requireAnswerable(request, options.leg);
  client.write(encodeAuthentication({ kind: "cleartext_password" }));
  const password = decodePasswordMessage(await readClient(parties, MAX_PASSWORD_BYTES));
  try {
    const guess = await options.beginGuess(password);
    // Who leaves now has guessed all the same, and only the backend knows whether it was wrong.
    parties.backend.finish();
    if (password.length === 0) throw wrongPassword(options.user, { why: "the password is empty" });
    const backend = await logIn(parties, request, { ...options, password, guess });
    parties.backend.putAhead(ok);
    return { client: false, backend };
  } catch (error) {
    if (!(error instanceof BackendRefusal) || !isForPassword(error)) throw error;
    throw wrongPassword(options.user, { why: `the backend says "${error.fields.message}"`, cause: error });
  } finally {
    password.fill(0);
  }
}

/** PgBouncer's word for a wrong password is a protocol violation, Pgpool-II's an internal error: only the text says more. */
function isForPassword({ fields: { sqlstate, message } }: BackendRefusal): boolean {
  return sqlstate.startsWith("28") || message.includes("authentication failed");
}

type Answerable = AuthenticationRequest & { readonly kind: "sasl" | "md5_password" };

function requireAnswerable(request: AuthenticationRequest, leg: BackendLeg): asserts request is Answerable {
  if (request.kind === "sasl") return void requireScram(request, leg);
  if (request.kind === "md5_password" && leg.isTls) return;
  throw unanswered(request, leg.isTls ? "SCRAM-SHA-256 or md5" : "SCRAM-SHA-256 on a plaintext leg");
}

async function logIn(
  parties: Parties,
  request: Answerable,
  { password, guess, backendUser, leg }: PasswordOptions & {
    readonly password: Uint8Array;
    readonly guess: Guess;
  },
): Promise<boolean> {
  if (request.kind === "sasl") {
    const prepared = await preparePassword(password);
    const keysFor = (challenge: ServerFirst) => {
      requireSensible(challenge);
      return deriveKeys(prepared, challenge);
    };
    try {
      return await logInWithScram(parties, { offer: request, leg, keysFor, guess });
    } finally {
      // Where it is not the password itself it is a copy, which nobody else wipes.
      prepared.fill(0);
    }
  }
  guess.ask();
  parties.backend.write(encodePasswordMessage(md5Answer(password, backendUser, request.salt)));
  const last = await readRequest(parties, { isFirst: false });
  if (last.kind !== "ok") throw unanswered(last, "the end of the login");
  return false;
}

/** Too few iterations give a bad backend a proof that is easy to guess from; too many keep this machine busy. */
function requireSensible({ iterations }: ServerFirst): void {
  if (iterations >= MIN_ITERATIONS && iterations <= MAX_ITERATIONS) return;
  throw new StageError(
    "backend_login_failed",
    `Backend asks for ${iterations} iterations of SCRAM: expected ${MIN_ITERATIONS} to ${MAX_ITERATIONS}`,
  );
}

/** `md5` and the hash of salt behind the hash of password and user: what PostgreSQL calls md5 authentication. */
function md5Answer(password: Uint8Array, user: string, salt: Uint8Array): Uint8Array {
  const inner = createHash("md5").update(password).update(user).digest("hex");
  return new TextEncoder().encode(`md5${createHash("md5").update(inner).update(salt).digest("hex")}`);
}

/** PostgreSQL's PG_MAX_AUTH_TOKEN_LENGTH. */
const MAX_PASSWORD_BYTES = 65_535;

/** RFC 7677 section 4, and PostgreSQL's default. */
const MIN_ITERATIONS = 4_096;

/** Some 0.3 s of another thread. OWASP asks for 600,000 with SHA-256. */
const MAX_ITERATIONS = 1_000_000;
