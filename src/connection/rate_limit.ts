/** How often each network may do something, whichever isolates it comes to. */

import { Limits } from "../limits/limits.ts";
import { networkOf } from "../limits/network.ts";

/** Options of {@linkcode RateLimit}. */
export interface RateLimitOptions {
  /** What it is, unlike any other rate of the process. */
  readonly name: readonly string[];
  /** How many at once, after a pause. */
  readonly burst: number;
  /** How many a second in the long run; the burst has run down within two minutes. */
  readonly perSecond: number;
}

/** One bucket of tokens for each network: an IPv4 address, or the 64 bits of IPv6 that one customer has. */
export class RateLimit {
  readonly #limits: Limits;
  readonly #name: readonly string[];
  readonly #rate: { readonly limit: number; readonly unitMs: number };

  constructor({ name, burst, perSecond }: RateLimitOptions, limits: Limits) {
    this.#limits = limits;
    this.#name = name;
    this.#rate = { limit: burst, unitMs: Math.ceil(1000 / perSecond) };
  }

  /**
   * Whether `client` may do it once more; counts if so.
   *
   * @param client As logs show it.
   */
  take(client: string): boolean {
    return this.#limits.fading.take(this.#limits.keyOf(...this.#name, networkOf(client)), this.#rate);
  }
}
