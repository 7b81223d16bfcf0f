/** What all isolates of the process count together, by client network. */

import { createHash } from "node:crypto";
import { FadingCounts, fadingMemory } from "./fading_counts.ts";
import { forgetHeld, HeldCounts, heldMemory } from "./held_counts.ts";
import { type Key, makeKey } from "./keys.ts";

/** Memory that all isolates share, as it is sent to each. */
export interface LimitsMemory {
  readonly isolates: number;
  /** Which networks are counted together is not for anybody outside to know. */
  readonly secret: Uint8Array;
  readonly fading: SharedArrayBuffer;
  readonly held: SharedArrayBuffer;
}

/** Makes it, for a process. */
export function sharedLimits(isolates: number): LimitsMemory {
  const secret = crypto.getRandomValues(new Uint8Array(32));
  return { isolates, secret, fading: fadingMemory(), held: heldMemory(isolates) };
}

/** Gives back what `isolate` was holding: it has died, and cannot do so itself. */
export function giveBackHeld({ held }: LimitsMemory, isolate: number): void {
  forgetHeld(held, isolate);
}

/** Options of {@linkcode Limits}. */
export interface LimitsOptions {
  /** Of {@linkcode sharedLimits}; by default for this isolate alone. */
  readonly memory?: LimitsMemory;
  /** Which of the isolates this is, from 0. @default 0 */
  readonly isolate?: number;
  /**
   * Milliseconds, the same in all isolates. @default The time of day: no other clock is. When that is set, counts run
   * longer or shorter by as much, and are over if it is by more than two minutes.
   */
  readonly now?: () => number;
}

/** The process's counts, as one isolate sees them. */
export class Limits {
  /** What has happened and is run down with time. */
  readonly fading: FadingCounts;
  /** What is under way. */
  readonly held: HeldCounts;
  readonly #secret: Uint8Array;
  readonly #isolates: number;

  constructor({ memory = sharedLimits(1), isolate = 0, now = Date.now }: LimitsOptions = {}) {
    this.fading = new FadingCounts(memory.fading, now);
    this.held = new HeldCounts(memory.held, isolate);
    this.#secret = memory.secret;
    this.#isolates = memory.isolates;
  }

  /** The key of what these words name together. */
  keyOf(...parts: readonly string[]): Key {
    return makeKey(this.#secret, parts);
  }

  /** Tells whether two are the same, and nothing else of them to who does not know the process's secret. */
  fingerprintOf(parts: readonly Uint8Array[]): string {
    const hash = createHash("sha256").update(this.#secret);
    for (const part of parts) hash.update(`${part.length} `).update(part);
    return hash.digest("base64");
  }

  /** This isolate's part of a number that all have together; at least 1. */
  shareOf(total: number): number {
    return Math.max(1, Math.floor(total / this.#isolates));
  }
}
