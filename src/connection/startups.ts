/** How many clients of an address may be in their start-up at a time, and who has to give way to whom. */

import { StageError } from "../errors.ts";
import { networkOf } from "../limits/network.ts";
import type { Deadline } from "./deadline.ts";

/**
 * Places for connections between accept and StartupMessage: what strangers can use up without any credentials.
 *
 * Up to the limit nobody notices. Beyond it newcomers wait, within their own `startup_timeout`, and who has had
 * {@linkcode GRACE_MS} already gives way: first from the network that holds most places, its oldest first. A free place
 * goes to the waiting network that holds fewest. So clients that open connections and fall silent, however many,
 * cost those of another network a wait of no more than the grace; and a rush of honest ones is served in turn.
 */
export class Startups {
  readonly #limit: number;
  readonly #graceMs: number;
  /** In the order in which they entered. */
  readonly #inside = new Set<Entry>();
  readonly #waiting = new Set<Waiting>();
  readonly #places = new Map<string, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param limit {@linkcode MAX_STARTUPS}, or this isolate's share of them. */
  constructor(limit: number, graceMs = GRACE_MS) {
    this.#limit = limit;
    this.#graceMs = graceMs;
  }

  /** How many hold a place. */
  get open(): number {
    return this.#inside.size;
  }

  /**
   * Takes a place, or waits for one.
   *
   * @param client As logs show it.
   * @param deadline The start-up's; it is aborted with `startup_timeout` when the client has to give way.
   * @returns What gives the place back; safe to call twice.
   * @throws The reason of the deadline.
   */
  enter(client: string, deadline: Deadline): Promise<() => void> {
    const { signal } = deadline;
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const settle = () => {
        signal.removeEventListener("abort", onAbort);
        this.#waiting.delete(waiting);
      };
      const onAbort = () => {
        settle();
        reject(signal.reason);
      };
      const waiting: Waiting = {
        network: networkOf(client),
        deadline,
        admit: (leave) => {
          settle();
          resolve(leave);
        },
      };
      signal.addEventListener("abort", onAbort);
      this.#waiting.add(waiting);
      this.#fill();
    });
  }

  /** Gives free places to who waits, and makes some free where it may. */
  #fill(): void {
    clearTimeout(this.#timer);
    while (this.#waiting.size > 0) {
      if (this.#inside.size >= this.#limit && !this.#makeRoom()) return;
      this.#admit(this.#nextWaiting());
    }
  }

  #admit({ network, deadline, admit }: Waiting): void {
    const entry: Entry = { network, deadline, since: performance.now() };
    this.#inside.add(entry);
    this.#places.set(network, this.#held(network) + 1);
    admit(() => {
      if (this.#remove(entry)) this.#fill();
    });
  }

  /** Whether there is room now; if not, it looks again when somebody has had the grace. */
  #makeRoom(): boolean {
    const most = Math.max(...this.#places.values());
    for (const entry of this.#inside) {
      if (this.#held(entry.network) < most) continue;
      const age = performance.now() - entry.since;
      if (age < this.#graceMs) {
        this.#timer = setTimeout(() => this.#fill(), this.#graceMs - age);
        return false;
      }
      this.#remove(entry);
      const message = `Gave way to others after ${
        Math.round(age)
      } ms: ${this.#limit} clients were in their start-up`;
      entry.deadline.abort(new StageError("startup_timeout", message));
      return true;
    }
    return false;
  }

  #nextWaiting(): Waiting {
    let [next] = this.#waiting;
    for (const waiting of this.#waiting) {
      if (this.#held(waiting.network) < this.#held(next!.network)) next = waiting;
    }
    return next!;
  }

  #remove(entry: Entry): boolean {
    if (!this.#inside.delete(entry)) return false;
    const left = this.#held(entry.network) - 1;
    if (left > 0) this.#places.set(entry.network, left);
    else this.#places.delete(entry.network);
    return true;
  }

  #held(network: string): number {
    return this.#places.get(network) ?? 0;
  }
}

interface Entry {
  readonly network: string;
  readonly deadline: Deadline;
  /** `performance.now()`, in milliseconds. */
  readonly since: number;
}

interface Waiting {
  readonly network: string;
  readonly deadline: Deadline;
  admit(leave: () => void): void;
}

/**
 * Of all isolates together. Each may make us hold 256 KiB (tls/handshake_bound.ts), 128 MB together. A start-up takes
 * three or four round trips, so clients 200 ms away come in at some 600 a second, about what one core can do handshakes
 * of.
 */
export const MAX_STARTUPS = 512;

/** Four round trips of 500 ms. */
const GRACE_MS = 2_000;
