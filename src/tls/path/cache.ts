/** Remembers which presented chains were accepted, so that the steady state costs a hash and not a validation. */

/** How long an acceptance holds, and what it was. */
export interface Acceptance {
  /** Milliseconds since 1970, inclusive. */
  readonly from: number;
  /** Exclusive. */
  readonly until: number;
  readonly notAfter: number;
  readonly trustedBy: string;
}

/** The acceptances of one trust store. Refusals are not remembered: they are cheap, and a clock may be put right. */
export class AcceptanceCache {
  readonly #entries = new Map<string, Acceptance>();
  readonly #limit: number;

  constructor(limit = MAX_ENTRIES) {
    this.#limit = limit;
  }

  /** The acceptance under `key`, if it holds at `now` (milliseconds since 1970). */
  get(key: string, now: number): Acceptance | null {
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    if (now >= entry.from && now < entry.until) return entry;
    this.#entries.delete(key);
    return null;
  }

  /** Remembers; the oldest entry makes room. */
  set(key: string, acceptance: Acceptance): void {
    this.#entries.delete(key);
    this.#entries.set(key, acceptance);
    if (this.#entries.size <= this.#limit) return;
    const oldest = this.#entries.keys().next();
    if (oldest.done !== true) this.#entries.delete(oldest.value);
  }
}

/** About 1 MB; more clients than that have certificates of their own only where validation is the least of the cost. */
const MAX_ENTRIES = 4_096;
