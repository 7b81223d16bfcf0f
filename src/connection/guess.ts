/** Passwords as guesses, where the login is ours: who may not make one, and what each of them comes to. */

import type { Guesser, Question } from "../auth/attempts.ts";
import type { Guess } from "../auth/guess.ts";
import type { Parties } from "../auth/peer.ts";
import { BackendRefusal } from "../auth/requests.ts";
import { wrongPassword } from "../auth/wrong_password.ts";
import { type CloseReason, StageError } from "../errors.ts";
import type { Authorized } from "./authorize.ts";

/** What a guess is part of. */
export interface Guessing {
  readonly parties: Parties;
  /** Ends every wait. */
  readonly signal: AbortSignal;
}

/** Options of {@linkcode beginGuess}. */
export interface GuessOptions extends Guessing {
  /** As the client has sent it; `null` where it is not known. */
  readonly password: Uint8Array | null;
}

/**
 * Turns away whoever has sent too many wrong passwords, before the backend is dialled for it.
 *
 * @throws {StageError} `auth_limited`.
 */
export function refuseGuesser(authorized: Authorized): void {
  const { packet, route } = authorized;
  if (packet.kind !== "startup_message" || route.config.auth.mode === "passthrough") return;
  if (guesserOf(authorized).isBlocked()) throw limited(authorized);
}

/**
 * Begins a guess, as soon as it is sure not to be one too many. Whoever opens many sessions at once with one password
 * guesses once; whoever tries several waits for some of them, and is not refused for it.
 *
 * @throws {StageError} `auth_limited` if too many wrong passwords have come for this user, or from this network;
 *   `client_closed` if the client does not wait; the signal's reason.
 */
export async function beginGuess(
  authorized: Authorized,
  { parties, signal, password }: GuessOptions,
): Promise<Guess> {
  const guesser = guesserOf(authorized);
  const question = password && questionOf(authorized, password);
  for (let pauseMs = FIRST_PAUSE_MS;; pauseMs = Math.min(2 * pauseMs, LAST_PAUSE_MS)) {
    const guess = guesser.begin(question);
    if (guess === "blocked") throw limited(authorized);
    if (guess !== "busy") return guess;
    await wait(pauseMs * (0.5 + Math.random()), signal);
    if (parties.client.hasLeft) {
      throw new StageError("client_closed", "Client closed the connection while waiting");
    }
  }
}

/** Settles a guess whose login has failed, and keeps the answer back if it can be one to a wrong password. */
export async function settleGuess(guess: Guess, error: unknown, signal: AbortSignal): Promise<void> {
  if (isUndecided(guess, error)) return guess.withdraw();
  await wait(guess.fail(), signal);
}

/**
 * Whether nobody has said anything about the password. A backend that has seen a proof has, in whatever way it ends the
 * login: some close without a word, and whoever knows that would guess for nothing.
 */
function isUndecided(guess: Guess, error: unknown): boolean {
  if (!(error instanceof StageError)) return false;
  if (OURS.has(error.reason)) return true;
  if (error instanceof BackendRefusal && error.isForEverybody) return true;
  return !guess.wasAsked && BACKENDS.has(error.reason);
}

/** One for each connection. */
function guesserOf(authorized: Authorized): Guesser {
  const known = guessers.get(authorized);
  if (known !== undefined) return known;
  const guesser = authorized.route.logins.attempts.of(authorized.client, guessedUser(authorized));
  guessers.set(authorized, guesser);
  return guesser;
}

/** The user the client names. */
export function userOf(packet: Authorized["packet"]): string {
  return (packet.kind === "startup_message" && packet.parameters.get("user")) || "";
}

/**
 * Whose password it is that a client guesses: one that goes on to the backend is of the user there, whatever the client
 * called itself to an app that has chosen that one.
 */
function guessedUser({ packet, login, route }: Authorized): string {
  const { mode } = route.config.auth;
  return mode === "password" && login !== null ? login.user : userOf(packet);
}

/** The same password may be right for one backend or database, and wrong for another. */
function questionOf({ route, backendRoute, login }: Authorized, password: Uint8Array): Question {
  const backend = new TextEncoder().encode(backendRoute.config.name);
  return route.logins.attempts.questionOf(backend, login?.bytes ?? EMPTY, password);
}

function limited({ packet }: Authorized): StageError {
  const why = "too many wrong passwords came before, expected a pause";
  return wrongPassword(userOf(packet), { reason: "auth_limited", why });
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
}

const guessers = new WeakMap<Authorized, Guesser>();

/** Ended on this side, by what knows no password. */
const OURS: ReadonlySet<CloseReason> = new Set(["app_failed", "server_draining"]);

/** Ended by the backend, or for it. */
const BACKENDS: ReadonlySet<CloseReason> = new Set([
  "auth_timeout",
  "backend_error",
  "backend_login_failed",
  "backend_lost",
  "backend_untrusted",
]);

// A login takes some milliseconds; at random, so that those who wait do not get in each other's way again and again.
const FIRST_PAUSE_MS = 10;

// Thousands who wait must not keep the machine busy with asking.
const LAST_PAUSE_MS = 200;

const EMPTY = new Uint8Array(0);
