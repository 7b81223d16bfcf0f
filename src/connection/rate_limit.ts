/** How often each network may do something; what is remembered is bounded. */

import { networkOf } from "./socket.ts";

/** Options of {@linkcode RateLimit}. */
export interface RateLimitOptions {
  /** How many at once, after a pause. */
  readonly burst: number;
  /** How many a second in the long run. */
  readonly perSecond: number;
  /** How many networks are remembered; beyond it the one that was silent longest is forgotten. @default 10_000 */
  readonly networks?: number;
}

/** One bucket of tokens for each network: an IPv4 address, or the 64 bits of IPv6 that one customer has. */
export class RateLimit {
  readonly #options: Required<RateLimitOptions>;
  /** In the order of their last use. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: RateLimitOptions) {
    this.#options = { networks: 10_000, ...options };
  }

  /** How many networks are remembered. */
  get size(): number {
    return this.#buckets.size;
  }

  /**
   * Whether `client` may do it once more; counts if so.
   *
   * @param client As logs show it.
   * @param now In milliseconds, of a clock that does not go back.
   */
  take(client: string, now: number = performance.now()): boolean {
    const { burst, perSecond, networks } = this.#options;
    const network = networkOf(client);
    const { tokens, at } = this.#buckets.get(network) ?? { tokens: burst, at: now };
    const left = Math.min(burst, tokens + (now - at) * perSecond / 1000);
    this.#buckets.delete(network);
    this.#buckets.set(network, { tokens: left >= 1 ? left - 1 : left, at: now });
    if (this.#buckets.size > networks) {
      const [oldest] = this.#buckets.keys();
      this.#buckets.delete(oldest!);
    }
    return left >= 1;
  }
}

interface Bucket {
  readonly tokens: number;
  /** When `tokens` was right. */
  readonly at: number;
}
