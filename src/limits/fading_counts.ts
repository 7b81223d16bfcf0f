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
  return new SharedArrayBuffer(ROWS * ROW_CELLS * BigInt64Array.BYTES_PER_ELEMENT);
}

/** One table, as one of its isolates sees it. */
export class FadingCounts {
  /** Whole times: the last 32 bits of one come back after 49 days, and cells nobody had used would count then. */
  readonly #cells: BigInt64Array;
  readonly #now: () => number;

  /**
   * @param memory Of {@linkcode fadingMemory}.
   * @param now Whole milliseconds of a clock on which all isolates agree.
   */
  constructor(memory: ArrayBufferLike, now: () => number) {
    this.#cells = new BigInt64Array(memory);
    this.#now = now;
  }

  /** How many are counted now; a part of one has not run down yet. */
  count(key: Key, { unitMs }: Fading): number {
    return lowestOf(this.#timesIn(cellsOf(key, ROW_CELLS)), this.#now()) / unitMs;
  }

  /** Counts one more. @returns How many it is then. */
  add(key: Key, { unitMs }: Fading): number {
    const now = this.#now();
    const cells = cellsOf(key, ROW_CELLS);
    for (const cell of cells) this.#advance(cell, unitMs, now);
    return lowestOf(this.#timesIn(cells), now) / unitMs;
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
    for (const cell of cellsOf(key, ROW_CELLS)) Atomics.sub(this.#cells, cell, BigInt(unitMs));
    return false;
  }

  /**
   * Counts none of this key any more: its lowest cells are nobody else's, and what it has in others stays there for a
   * while. Nothing is taken off from those, because of two who do so at once one would take off what is not the key's.
   */
  clear(key: Key): void {
    const now = this.#now();
    const cells = cellsOf(key, ROW_CELLS);
    const times = this.#timesIn(cells);
    const lowest = lowestOf(times, now);
    if (lowest === 0) return;
    cells.forEach((cell, row) => {
      const time = times[row]!;
      // In 1970, so that a clock that is set back does not bring it again.
      if (aheadOf(time, now) === lowest) Atomics.compareExchange(this.#cells, cell, time, 0n);
    });
  }

  #timesIn(cells: readonly number[]): bigint[] {
    return cells.map((cell) => Atomics.load(this.#cells, cell));
  }

  #advance(cell: number, ms: number, now: number): void {
    for (;;) {
      const before = Atomics.load(this.#cells, cell);
      const after = BigInt(now + Math.min(aheadOf(before, now) + ms, LONGEST_MS));
      if (Atomics.compareExchange(this.#cells, cell, before, after) === before) return;
    }
  }
}

function lowestOf(times: readonly bigint[], now: number): number {
  return Math.min(...times.map((time) => aheadOf(time, now)));
}

/**
 * Milliseconds from `now` to a time. One that is further away than anything is counted is of a clock that has been set
 * back: it counts nothing.
 */
function aheadOf(time: bigint, now: number): number {
  const ahead = Number(time) - now;
  return ahead > 0 && ahead <= LONGEST_MS ? ahead : 0;
}

/** No count takes longer to run down; twice what those here need at their limits. */
const LONGEST_MS = 120_000;

/**
 * 2 MB in all rows. Two thousand wrong passwords a second, more than a machine gets through, keep 12,000 users at their
 * limit: one in a thousand others is counted with them.
 */
const ROW_CELLS = 2 ** 16;
