/** File descriptors: how many connections this process can hold. */

import { closeSync, openSync } from "node:fs";

/**
 * Says whether one more connection fits into the process's limit of open files, with some to spare.
 *
 * It should not come to the limit: when Deno's accept meets EMFILE it stops for good and reports nothing (uv_compat,
 * `poll_accept`), and the listener is dead even after every client has left; gate.ts then revives it. The limit
 * cannot be read without `--allow-all`, so it is tried out: a file is opened as often as needed and closed again, in one
 * synchronous go, during which nothing else of this thread can open any.
 */
export class DescriptorBudget {
  readonly #file: string;
  readonly #reserve: number;
  /** Descriptors known to be there, in use or free. */
  #proven = 0;
  /** When the limit was met; sockets accepted but not served yet may have been in the way, so it is met again later. */
  #metLimitAt = -Infinity;

  /**
   * @param file A file this process may read.
   * @param reserve Descriptors to leave for others, besides the process's own.
   */
  constructor(file: string, reserve = 0) {
    this.#file = file;
    this.#reserve = RESERVE + reserve;
  }

  /** Whether a connection more than `open` fits. */
  admits(open: number): boolean {
    const needed = (open + 1) * PER_CONNECTION + this.#reserve;
    if (needed > this.#proven && performance.now() - this.#metLimitAt > PROVE_INTERVAL_MS) {
      this.#prove(Math.max(2 * needed, FIRST_GOAL), open);
    }
    return needed <= this.#proven;
  }

  /** @param open Connections open now: each holds one descriptor at least. */
  #prove(goal: number, open: number): void {
    const tried: number[] = [];
    try {
      while (open + tried.length < goal) tried.push(openSync(this.#file, "r"));
      this.#proven = goal;
    } catch (error) {
      const { code } = error as { code?: string };
      const isLimit = code === "EMFILE" || code === "ENFILE";
      this.#metLimitAt = performance.now();
      this.#proven = isLimit ? open + tried.length : Infinity;
    } finally {
      for (const descriptor of tried) closeSync(descriptor);
    }
  }
}

// The client's socket and the backend's.
const PER_CONNECTION = 2;

// Name resolution, certificate files, standard streams and the event loop's own.
const RESERVE = 32;

const FIRST_GOAL = 256;

// Short of gate.ts's own interval, so that each of its looks is a fresh one.
const PROVE_INTERVAL_MS = 50;
