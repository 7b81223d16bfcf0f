/**
 * Counts that run down by themselves, in a table of fixed size that isolates share.
 *
 * A cell holds until when it is running down, so nothing is ever cleared away: a time that is over counts nothing. Each key
 * has a cell in every row, and its count is that of the lowest. Who meets others in some rows is not hurt, and who meets
 * others in all of them is counted together with them: too much for a while, and never too little. So a table that
 * somebody fills lets nobody guess more, and holds up somebody innocent only with that chance, until it has run down.
 */

import { cellsOf, type Key, ROWS } from "./keys.ts";

/** How a count runs down. */
export interface Fading {
  /** Milliseconds until one less is counted. */
  readonly unitMs: number;
}

/** Memory for one table. */
export function fadingMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(ROWS * ROW_CELLS * Int32Array.BYTES_PER_ELEMENT);
}

/** One table, as one of its isolates sees it. */
export class FadingCounts {
  readonly #cells: Int32Array;
  readonly #now: () => number;

  /**
   * @param memory Of {@linkcode fadingMemory}.
   * @param now Milliseconds of a clock on which all isolates agree.
   */
  constructor(memory: ArrayBufferLike, now: () => number) {
    this.#cells = new Int32Array(memory);
    this.#now = now;
  }

  /** How many are counted now; a part of one has not run down yet. */
  count(key: Key, { unitMs }: Fading): number {
    return this.#aheadMs(cellsOf(key, ROW_CELLS), this.#now()) / unitMs;
  }

  /** Counts one more. @returns How many it is then. */
  add(key: Key, { unitMs }: Fading): number {
    const now = this.#now();
    const cells = cellsOf(key, ROW_CELLS);
    for (const cell of cells) this.#advance(cell, unitMs, now);
    return this.#aheadMs(cells, now) / unitMs;
  }

  /**
   * Counts one more if it is no more than `limit` then.
   *
   * Exact, however many isolates do it at once: who counts last sees all others, and of two who want the last one
   * neither may get it, but never both.
   */
  take(key: Key, { unitMs, limit }: Fading & { readonly limit: number }): boolean {
    if (this.count(key, { unitMs }) > limit - 1) return false;
    if (this.add(key, { unitMs }) <= limit) return true;
    for (const cell of cellsOf(key, ROW_CELLS)) Atomics.sub(this.#cells, cell, unitMs);
    return false;
  }

  /** Counts none of this key any more; what others have in its cells stays. */
  clear(key: Key): void {
    const cells = cellsOf(key, ROW_CELLS);
    const aheadMs = this.#aheadMs(cells, this.#now());
    if (aheadMs > 0) { for (const cell of cells) Atomics.sub(this.#cells, cell, aheadMs); }
  }

  #aheadMs(cells: readonly number[], now: number): number {
    return Math.min(...cells.map((cell) => aheadOf(Atomics.load(this.#cells, cell), now)));
  }

  #advance(cell: number, ms: number, now: number): void {
    for (;;) {
      const before = Atomics.load(this.#cells, cell);
      const after = (now + Math.min(aheadOf(before, now) + ms, LONGEST_MS)) | 0;
      if (Atomics.compareExchange(this.#cells, cell, before, after) === before) return;
    }
  }
}

/**
 * Milliseconds from `now` to a time of which a cell holds the last 32 bits. One that is further away than anything is
 * counted is long over, or of a clock that has been set back: it counts nothing.
 */
function aheadOf(cell: number, now: number): number {
  const ahead = (cell - now) | 0;
  return ahead > 0 && ahead <= LONGEST_MS ? ahead : 0;
}

/** No count takes longer to run down; twice what those here need at their limits. */
const LONGEST_MS = 120_000;

/**
 * 1 MB in all rows. Two thousand wrong passwords a second, more than a machine gets through, keep 12,000 users at their
 * limit: one in a thousand others is counted with them.
 */
const ROW_CELLS = 2 ** 16;
