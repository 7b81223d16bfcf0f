/** A timer that waits for silence. */

/** Calls back when nothing has moved for a time. */
export class Quiet {
  #timer: ReturnType<typeof setTimeout> | null = null;
  #movedAt = 0;

  /**
   * Waits for `ms` milliseconds without {@linkcode touch}, from now on. Replaces what was waited for before. Does not
   * keep the process alive.
   */
  wait(ms: number, onQuiet: () => void): void {
    this.clear();
    this.#movedAt = performance.now();
    this.#arm(ms, () => {
      const left = this.#movedAt + ms - performance.now();
      if (left > 0) return left;
      this.#timer = null;
      onQuiet();
      return null;
    });
  }

  /** Something has moved. */
  touch(): void {
    if (this.#timer !== null) this.#movedAt = performance.now();
  }

  /** Stops waiting. */
  clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** Calls `check` after `ms`, and again after as long as it says. */
  #arm(ms: number, check: () => number | null): void {
    this.#timer = setTimeout(() => {
      const again = check();
      if (again !== null) this.#arm(again, check);
    }, ms);
    Deno.unrefTimer(this.#timer as unknown as number);
  }
}
