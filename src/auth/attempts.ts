/**
 * How many wrong passwords come from where, to whichever isolates of the process. Nobody is locked out for good: every
 * count runs down by itself, and what is refused meanwhile does not add to it.
 */

import type { Key } from "../limits/keys.ts";
import type { Limits } from "../limits/limits.ts";
import { networkOf } from "../limits/network.ts";

/** Those of one route. */
export class Attempts {
  readonly #limits: Limits;
  readonly #route: string;
  /** By address. */
  readonly #networks = new Map<string, CountedNetwork>();

  /** @param route Its name: whoever guesses must not gain by a reload. */
  constructor(limits: Limits, route: string) {
    this.#limits = limits;
    this.#route = route;
  }

  /** Whoever guesses at `user` from this address: for one connection, which asks more than once. */
  of(client: string, user: string): Guesser {
    const { network, key } = this.#networkOf(client);
    const pair = this.#limits.keyOf("passwords", this.#route, network, nameOf(user));
    return new Guesser(this.#limits, { network: key, pair });
  }

  /** As {@linkcode Guesser.isBlocked}, of {@linkcode of}. */
  isBlocked(client: string, user: string): boolean {
    return this.of(client, user).isBlocked();
  }

  /** As {@linkcode Guesser.begin}, of {@linkcode of}. */
  begin(client: string, user: string): Guess | "blocked" | "busy" {
    return this.of(client, user).begin();
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

/** Somebody who may guess, or has to wait. */
export class Guesser {
  readonly #limits: Limits;
  readonly #keys: Keys;

  constructor(limits: Limits, keys: Keys) {
    this.#limits = limits;
    this.#keys = keys;
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
   * @returns `blocked` when too many have failed, `busy` when some that are under way may turn out to be too many.
   */
  begin(): Guess | "blocked" | "busy" {
    const { fading, held } = this.#limits;
    const { pair, network } = this.#keys;
    const leave = [held.hold(pair), held.hold(network)];
    const end = () => leave.forEach((each) => each());
    // Those under way first: one that fails in between is seen here, or there, or twice.
    const underWay = { pair: held.count(pair), network: held.count(network) };
    const fits = underWay.pair + fading.count(pair, USER) <= USER.limit &&
      underWay.network + fading.count(network, NETWORK) <= NETWORK.limit;
    if (fits) return new Guess(this.#limits, { pair, network, end });
    end();
    return this.isBlocked() ? "blocked" : "busy";
  }
}

/** One that is under way. Whatever it comes to first is what counts. */
export class Guess {
  readonly #limits: Limits;
  readonly #keys: Keys;
  #end: (() => void) | null;

  constructor(limits: Limits, { end, ...keys }: Keys & { readonly end: () => void }) {
    this.#limits = limits;
    this.#keys = keys;
    this.#end = end;
  }

  /** Counts a wrong password. @returns How long to keep the answer back, in milliseconds. */
  fail(): number {
    if (this.#end === null) return 0;
    const { pair, network } = this.#keys;
    const { fading } = this.#limits;
    fading.add(network, NETWORK);
    const failures = fading.add(pair, USER);
    this.withdraw();
    return Math.min(FIRST_DELAY_MS * 2 ** (failures - 1), LAST_DELAY_MS);
  }

  /** A right password: whoever has it was not guessing. */
  succeed(): void {
    if (this.#end !== null) this.#limits.fading.clear(this.#keys.pair);
    this.withdraw();
  }

  /** Nobody has said whether it was right, nor will. */
  withdraw(): void {
    this.#end?.();
    this.#end = null;
  }
}

/** What is counted of a guess. */
interface Keys {
  readonly network: Key;
  /** The network and the user together. */
  readonly pair: Key;
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

/** Ten wrong passwords for a user at once, then one every six seconds. */
const USER = { limit: 10, unitMs: 6_000 };

/** A hundred from a network at once, then one every 0.6 s: many people may share it. */
const NETWORK = { limit: 100, unitMs: 600 };

/** Some 100 kB. Whoever has more addresses makes others' be looked up again, and nothing else. */
const MAX_NETWORKS = 500;

/** A typing mistake costs nothing one would notice. */
const FIRST_DELAY_MS = 50;
const LAST_DELAY_MS = 2_000;
