/** A password that is tried for a user, and what each of its outcomes counts. */

import { type Key, otherKey } from "../limits/keys.ts";
import type { Limits } from "../limits/limits.ts";

/** One that is under way. Whatever it comes to first is what counts. */
export class Guess {
  readonly #limits: Limits;
  readonly #turn: Turn;
  #isSettled = false;
  #wasAsked = false;

  constructor(limits: Limits, turn: Turn) {
    this.#limits = limits;
    this.#turn = turn;
    turn.guesses++;
  }

  /** The backend is about to hear of it, and whatever it does from now on can be its answer. */
  ask(): void {
    this.#wasAsked = true;
  }

  get wasAsked(): boolean {
    return this.#wasAsked;
  }

  /** Counts a wrong password. @returns How long to keep the answer back, in milliseconds. */
  fail(): number {
    if (this.#isSettled) return 0;
    const { keys: { pair, network }, hasFailed } = this.#turn;
    const { fading } = this.#limits;
    this.#turn.hasFailed = true;
    if (!hasFailed) fading.add(network, NETWORK);
    const failures = hasFailed ? fading.count(pair, USER) : fading.add(pair, USER);
    this.withdraw();
    return Math.min(FIRST_DELAY_MS * 2 ** Math.max(failures - 1, 0), LAST_DELAY_MS);
  }

  /**
   * A right password: whoever has it was not guessing. Others of his network may be, so it is not forgotten with each login
   * of a busy client what they have tried.
   */
  succeed(): void {
    const { fading } = this.#limits;
    const { pair } = this.#turn.keys;
    const isWorthIt = !this.#isSettled && fading.count(pair, USER) > 0;
    if (isWorthIt && fading.take(otherKey(pair), PARDON)) fading.clear(pair);
    this.withdraw();
  }

  /** Nobody has said whether it was right, nor will. */
  withdraw(): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    if (--this.#turn.guesses === 0) this.#turn.end();
  }
}

/** One password that is tried, however many ask for it at once. */
export interface Turn {
  readonly keys: Keys;
  guesses: number;
  /** It is wrong, and counted as such. */
  hasFailed: boolean;
  /** Counts it as under way no more. */
  readonly end: () => void;
}

/** What is counted of a guess. */
export interface Keys {
  readonly network: Key;
  /** The network and the user together. */
  readonly pair: Key;
}

/** Ten wrong passwords for a user at once, then one every six seconds. */
export const USER = { limit: 10, unitMs: 6_000 };

/** A hundred from a network at once, then one every 0.6 s: many people may share it. */
export const NETWORK = { limit: 100, unitMs: 600 };

/** As long as a user's count takes to run down by itself: who guesses beside an honest client gets twice as many, at most. */
const PARDON = { limit: 1, unitMs: 60_000 };

/** A typing mistake costs nothing one would notice. */
const FIRST_DELAY_MS = 50;
const LAST_DELAY_MS = 2_000;
