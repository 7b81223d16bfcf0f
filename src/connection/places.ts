/** Places on a route: each taken and given back, counted over all isolates of the process. */

import { addToCell, lifeIn, passOnCell } from "../limits/owned_cell.ts";

/** Memory that all isolates share, for a count of places: the total, then one cell for each of `isolates`. */
export function sharedPlaces(isolates: number): SharedArrayBuffer {
  return new SharedArrayBuffer((FIRST_CELL + isolates) * Int32Array.BYTES_PER_ELEMENT);
}

/** Gives back every place that `isolate` has taken: it has died, and what it still does itself counts no more. */
export function giveBackPlaces(memory: SharedArrayBuffer, isolate: number): void {
  const cells = new Int32Array(memory);
  Atomics.sub(cells, TOTAL, passOnCell(cells, FIRST_CELL + isolate));
}

/** How many places are taken, by whichever isolate. */
export function takenPlaces(memory: SharedArrayBuffer): number {
  return Atomics.load(new Int32Array(memory), TOTAL);
}

/** Counts who is in. The limit is the caller's: it may change with a reload, while those inside stay inside. */
export class Places {
  readonly #cells: Int32Array;
  readonly #own: number;
  readonly #life: number;

  /**
   * @param memory Of {@linkcode sharedPlaces}; by default for this isolate alone.
   * @param isolate Which of the isolates this is, from 0.
   */
  constructor(memory: ArrayBufferLike = sharedPlaces(1), isolate = 0) {
    this.#cells = new Int32Array(memory);
    this.#own = FIRST_CELL + isolate;
    this.#life = lifeIn(Atomics.load(this.#cells, this.#own));
  }

  get open(): number {
    return Atomics.load(this.#cells, TOTAL);
  }

  /**
   * Takes a place, and returns the function that gives it back (once); `null` when there is none.
   *
   * @param limit 0 = no limit.
   */
  enter(limit: number): (() => void) | null {
    if (!this.#take(limit)) return null;
    if (!this.#addToOwn(1)) {
      Atomics.sub(this.#cells, TOTAL, 1);
      return null;
    }
    let isInside = true;
    return () => {
      if (!isInside) return;
      isInside = false;
      if (this.#addToOwn(-1)) Atomics.sub(this.#cells, TOTAL, 1);
    };
  }

  /** Exact, however many isolates take at once. */
  #take(limit: number): boolean {
    for (;;) {
      const taken = Atomics.load(this.#cells, TOTAL);
      if (limit > 0 && taken >= limit) return false;
      if (Atomics.compareExchange(this.#cells, TOTAL, taken, taken + 1) === taken) return true;
    }
  }

  /** False once this isolate's places have been given back for it. */
  #addToOwn(by: number): boolean {
    return addToCell(this.#cells, this.#own, { life: this.#life, by });
  }
}

const TOTAL = 0;
const FIRST_CELL = 1;
