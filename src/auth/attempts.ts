/**
 * How many wrong passwords come from where, to whichever isolates of the process. Nobody is locked out for good: every
 * count runs down by itself, and what is refused meanwhile does not add to it.
 */

import type { Key } from "../limits/keys.ts";
import type { Limits } from "../limits/limits.ts";
import { networkOf } from "../limits/network.ts";
import { Guess, type Keys, NETWORK, type Turn, USER } from "./guess.ts";

/** Those of one route. */
export class Attempts {
  readonly #limits: Limits;
  readonly #route: string;
  /** By address. */
  readonly #networks = new Map<string, CountedNetwork>();
  readonly #turns = new Map<string, Turn>();

  /** @param route Its name: whoever guesses must not gain by a reload. */
  constructor(limits: Limits, route: string) {
    this.#limits = limits;
    this.#route = route;
  }

  /** Whoever guesses at `user` from this address: for one connection, which asks more than once. */
  of(client: string, user: string): Guesser {
    const { network, key } = this.#networkOf(client);
    const pair = this.#limits.keyOf("passwords", this.#route, network, nameOf(user));
    return new Guesser(this.#limits, { network: key, pair }, this.#turns);
  }

  /** As {@linkcode Guesser.isBlocked}, of {@linkcode of}. */
  isBlocked(client: string, user: string): boolean {
    return this.of(client, user).isBlocked();
  }

  /** As {@linkcode Guesser.begin}, of {@linkcode of}. */
  begin(client: string, user: string, question?: Question): Guess | "blocked" | "busy" {
    return this.of(client, user).begin(question);
  }

  /** @param parts What is asked and of whom, the password included. */
  questionOf(...parts: readonly Uint8Array[]): Question {
    return this.#limits.fingerprintOf(parts);
  }

  #networkOf(client: string): CountedNetwork {
    const host = client.slice(0, Math.max(client.lastIndexOf(":"), 0));
    const known = this.#networks.get(host);
    if (known !== undefined) return known;
    const network = networkOf(client);
    const counted = { network, key: this.#limits.keyOf("passwords", this.#route, network) };
    // Of what is no address the port is a part, too.
    if (network === client) return counted;
    if (this.#networks.size >= MAX_NETWORKS) this.#networks.clear();
    this.#networks.set(host, counted);
    return counted;
  }
}

/** Tells whether two guesses are the same; see {@linkcode Attempts.questionOf}. */
export type Question = string;

/** Somebody who may guess, or has to wait. */
export class Guesser {
  readonly #limits: Limits;
  readonly #keys: Keys;
  /** By who asks what. */
  readonly #turns: Map<string, Turn>;

  constructor(limits: Limits, keys: Keys, turns: Map<string, Turn>) {
    this.#limits = limits;
    this.#keys = keys;
    this.#turns = turns;
  }

  /**
   * Whether a guess has to wait until the counts have run down. One user's count is short and a network's long, so that
   * one program with an old password does not shut out the office it stands in.
   */
  isBlocked(): boolean {
    const { fading } = this.#limits;
    const { pair, network } = this.#keys;
    return fading.count(pair, USER) > USER.limit - 1 || fading.count(network, NETWORK) > NETWORK.limit - 1;
  }

  /**
   * Begins a guess. It counts while it is under way, so that many at once get no more answers than one after the other.
   *
   * @param question As long as nobody has failed, those who ask the same at once learn no more than one of them, and count
   *   as one. By default it is like no other.
   * @returns `blocked` when too many have failed, `busy` when some that are under way may turn out to be too many.
   */
  begin(question: Question | null = null): Guess | "blocked" | "busy" {
    const { pair } = this.#keys;
    const turn = this.#take();
    if (turn === null) return this.isBlocked() ? "blocked" : "busy";
    if (question === null) return new Guess(this.#limits, turn);
    const name = `${pair.join()} ${question}`;
    const same = this.#turns.get(name);
    const isOpen = same !== undefined && !same.hasFailed && this.#limits.fading.count(pair, USER) === 0;
    if (!isOpen) return new Guess(this.#limits, this.#open(name, turn));
    // Only now: that a guess is like one under way is an answer, too, and only who may guess gets one.
    turn.end();
    return new Guess(this.#limits, same);
  }

  /** `null` if it might be one too many. */
  #take(): Turn | null {
    const { fading, held } = this.#limits;
    const { pair, network } = this.#keys;
    const leave = [held.hold(pair), held.hold(network)];
    const end = () => leave.forEach((each) => each());
    // Those under way first: one that fails in between is seen here, or there, or twice.
    const underWay = { pair: held.count(pair), network: held.count(network) };
    const fits = underWay.pair + fading.count(pair, USER) <= USER.limit &&
      underWay.network + fading.count(network, NETWORK) <= NETWORK.limit;
    if (fits) return { keys: this.#keys, guesses: 0, hasFailed: false, end };
    end();
    return null;
  }

  /** Lets others join who ask the same. */
  #open(name: string, turn: Turn): Turn {
    const opened: Turn = {
      ...turn,
      end: () => {
        if (this.#turns.get(name) === opened) this.#turns.delete(name);
        turn.end();
      },
    };
    this.#turns.set(name, opened);
    return opened;
  }
}

interface CountedNetwork {
  readonly network: string;
  readonly key: Key;
}

/** The first 63 bytes, by which PostgreSQL knows a user: all names that begin with them are guesses at that one. */
function nameOf(user: string): string {
  if (SHORT_ASCII.test(user)) return user;
  const bytes = new Uint8Array(63);
  const { written } = new TextEncoder().encodeInto(user, bytes);
  return new TextDecoder().decode(bytes.subarray(0, written));
}

const SHORT_ASCII = /^[ -~]{0,63}$/;

/** Some 100 kB. Whoever has more addresses makes others' be looked up again, and nothing else. */
const MAX_NETWORKS = 500;
