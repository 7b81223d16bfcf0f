/**
 * Counts of what is under way, in a table of fixed size that isolates share: each counts in rows of its own, and what one
 * that has died was holding is counted no more. Keys may meet, as in fading_counts.ts: then too many are counted.
 */

import { cellsOf, type Key, ROWS } from "./keys.ts";
import { addToCell, cellOf, countIn, lifeIn, passOnCell } from "./owned_cell.ts";

/** Memory for one table. */
export function heldMemory(isolates: number): SharedArrayBuffer {
  return new SharedArrayBuffer(isolates * ISOLATE_CELLS * Int32Array.BYTES_PER_ELEMENT);
}

/** Forgets what an isolate was holding that has died. */
export function forgetHeld(memory: SharedArrayBuffer, isolate: number): void {
  passOnCell(new Int32Array(memory), isolate * ISOLATE_CELLS);
}

/** One table, as one of its isolates sees it. */
export class HeldCounts {
  readonly #cells: Int32Array;
  /** Where the isolate's own cells begin: with one that holds its life. */
  readonly #own: number;
  readonly #life: number;

  /** @param memory Of {@linkcode heldMemory}. */
  constructor(memory: ArrayBufferLike, isolate: number) {
    this.#cells = new Int32Array(memory);
    this.#own = isolate * ISOLATE_CELLS;
    this.#life = this.#lifeAt(this.#own);
  }

  /** Counts one more. @returns What counts it no more; safe to call twice. */
  hold(key: Key): () => void {
    const cells = cellsOf(key, ROW_CELLS).map((cell) => this.#own + 1 + cell);
    for (const cell of cells) this.#add(cell);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      for (const cell of cells) addToCell(this.#cells, cell, { life: this.#life, by: -1 });
    };
  }

  /** How many are held, by whichever isolate. */
  count(key: Key): number {
    const counts = cellsOf(key, ROW_CELLS).map(() => 0);
    for (let own = 0; own < this.#cells.length; own += ISOLATE_CELLS) {
      const life = this.#lifeAt(own);
      cellsOf(key, ROW_CELLS).forEach((cell, row) => {
        const value = Atomics.load(this.#cells, own + 1 + cell);
        if (lifeIn(value) === life) counts[row]! += countIn(value);
      });
    }
    return Math.min(...counts);
  }

  /** What an earlier life has left in a cell is written over; of a later one nothing is touched. */
  #add(cell: number): void {
    for (;;) {
      const before = Atomics.load(this.#cells, cell);
      if (this.#lifeAt(this.#own) !== this.#life) return;
      const count = lifeIn(before) === this.#life ? countIn(before) : 0;
      const after = cellOf(this.#life, count + 1);
      if (Atomics.compareExchange(this.#cells, cell, before, after) === before) return;
    }
  }

  #lifeAt(own: number): number {
    return lifeIn(Atomics.load(this.#cells, own));
  }
}

/** 64 KB an isolate. With a hundred keys under way, one in three million others meets some of them in every row. */
const ROW_CELLS = 2 ** 12;
const ISOLATE_CELLS = 1 + ROWS * ROW_CELLS;
