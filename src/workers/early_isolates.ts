/** Isolates that boot while the main one still reads what they are to serve. */

import { Isolate } from "./isolate.ts";

/**
 * Isolates that are started on a guess. They serve nothing until somebody takes them; one that has ended meanwhile is
 * never given away, and those that nobody has taken are ended.
 */
export class EarlyIsolates {
  readonly #isolates: Isolate[] = [];

  /** @param module What they run. */
  constructor(count: number, module: string) {
    try {
      while (this.#isolates.length < count) this.#isolates.push(new Isolate(module));
    } catch {
      // Whoever needs one will try again, and say what the matter is.
    }
  }

  /** How many nobody has taken that are not known to be gone. */
  get living(): number {
    return this.#isolates.filter(({ isGone }) => !isGone).length;
  }

  /** Resolves when none of them boots any more. */
  async booted(): Promise<void> {
    await Promise.allSettled(this.#isolates.map(({ ready }) => ready));
  }

  /** One that has booted, and belongs to the caller from now on; `null` if there is none. */
  async take(): Promise<Isolate | null> {
    for (;;) {
      const isolate = this.#isolates.shift();
      if (isolate === undefined) return null;
      const hasBooted = await isolate.ready.then(() => true, () => false);
      if (hasBooted && !isolate.isGone) return isolate;
    }
  }

  /** Ends those that nobody has taken. */
  end(): void {
    for (const isolate of this.#isolates.splice(0)) isolate.terminate();
  }
}
