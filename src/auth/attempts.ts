/**
 * How many wrong passwords come from where. Nobody is locked out for good: every count runs down by itself, and what
 * is refused meanwhile does not add to it.
 */

/** One for each route. Memory is bounded, whatever comes from however many addresses. */
export class Attempts {
  readonly #now: () => number;
  /** In the order of their last failure. */
  readonly #counts = new Map<string, { count: number; at: number }>();

  /** @param now A clock in milliseconds that does not jump. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** How many counts are held. */
  get size(): number {
    return this.#counts.size;
  }

  /**
   * Whether a guess at `user` from this address has to wait until the counts have run down. One user's count is short
   * and an address's long, so that one program with an old password does not shut out the office it stands in.
   */
  isBlocked(client: string, user: string): boolean {
    // Nobody has failed yet: that is what most logins find.
    if (this.size === 0) return false;
    const { address, pair } = keysOf(client, user);
    return this.#count(pair, USER_DECAY_MS) > USER_LIMIT - 1 ||
      this.#count(address, ADDRESS_DECAY_MS) > ADDRESS_LIMIT - 1;
  }

  /** Counts a wrong password. @returns How long to keep the answer back, in milliseconds. */
  fail(client: string, user: string): number {
    const { address, pair } = keysOf(client, user);
    this.#add(address, ADDRESS_DECAY_MS);
    const failures = this.#add(pair, USER_DECAY_MS);
    return Math.min(FIRST_DELAY_MS * 2 ** (failures - 1), LAST_DELAY_MS);
  }

  /** A right password: whoever has it was not guessing. */
  succeed(client: string, user: string): void {
    if (this.size > 0) this.#counts.delete(keysOf(client, user).pair);
  }

  #count(key: string, decayMs: number): number {
    const entry = this.#counts.get(key);
    return entry === undefined ? 0 : Math.max(0, entry.count - (this.#now() - entry.at) / decayMs);
  }

  #add(key: string, decayMs: number): number {
    const count = this.#count(key, decayMs) + 1;
    this.#counts.delete(key);
    this.#counts.set(key, { count, at: this.#now() });
    if (this.#counts.size > MAX_COUNTS) this.#counts.delete(this.#counts.keys().next().value!);
    return count;
  }
}

/**
 * Where a client comes from, as far as an attacker cannot choose: an IPv4 address, or the /64 of an IPv6 address,
 * which is the least that anybody gets.
 *
 * @param client `address:port` as logs show it.
 */
export function networkOf(client: string): string {
  const address = client.replace(/:\d+$/, "").replace(/^\[|\]$/g, "").replace(/%.*$/, "");
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped !== null) return mapped[1]!;
  if (!address.includes(":")) return address;
  const [head = "", tail = ""] = address.toLowerCase().split("::");
  const front = head === "" ? [] : head.split(":");
  const back = tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: Math.max(0, 8 - front.length - back.length) }, () => "0");
  return [...front, ...zeros, ...back].slice(0, 4).map((group) => group.replace(/^0+(?=.)/, "")).join(":");
}

function keysOf(client: string, user: string): { address: string; pair: string } {
  const address = networkOf(client);
  return { address, pair: `${address} ${nameOf(user)}` };
}

/** The first 63 bytes, by which PostgreSQL knows a user: all names that begin with them are guesses at that one. */
function nameOf(user: string): string {
  const bytes = new Uint8Array(63);
  const { written } = new TextEncoder().encodeInto(user, bytes);
  return new TextDecoder().decode(bytes.subarray(0, written));
}

/** Ten wrong passwords for a user at once, then one every six seconds. */
const USER_LIMIT = 10;
const USER_DECAY_MS = 6_000;

/** A hundred from an address at once, then one every 0.6 s: many people may share it. */
const ADDRESS_LIMIT = 100;
const ADDRESS_DECAY_MS = 600;

/** Some 2 MB at most. Whoever can come from thousands of networks only pushes out counts of his own. */
const MAX_COUNTS = 10_000;

/** A typing mistake costs nothing one would notice. */
const FIRST_DELAY_MS = 50;
const LAST_DELAY_MS = 2_000;
