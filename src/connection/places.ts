/** Places on a route: each taken and given back, counted over all isolates of the process. */

/** Memory that all isolates share, for a count of places: the total, then one cell for each of `isolates`. */
export function sharedPlaces(isolates: number): SharedArrayBuffer {
  return new SharedArrayBuffer((FIRST_CELL + isolates) * Int32Array.BYTES_PER_ELEMENT);
}

/** Gives back every place that `isolate` has taken: it has died, and cannot do so itself. */
export function giveBackPlaces(memory: SharedArrayBuffer, isolate: number): void {
  const cells = new Int32Array(memory);
  Atomics.sub(cells, TOTAL, Atomics.exchange(cells, FIRST_CELL + isolate, 0));
}

/** How many places are taken, by whichever isolate. */
export function takenPlaces(memory: SharedArrayBuffer): number {
  return Atomics.load(new Int32Array(memory), TOTAL);
}

/** Counts who is in. The limit is the caller's: it may change with a reload, while those inside stay inside. */
export class Places {
  readonly #cells: Int32Array;
  readonly #own: number;

  /**
   * @param memory Of {@linkcode sharedPlaces}; by default for this isolate alone.
   * @param isolate Which of the isolates this is, from 0.
   */
  constructor(memory: ArrayBufferLike = sharedPlaces(1), isolate = 0) {
    this.#cells = new Int32Array(memory);
    this.#own = FIRST_CELL + isolate;
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
    Atomics.add(this.#cells, this.#own, 1);
    let isInside = true;
    return () => {
      if (!isInside) return;
      isInside = false;
      Atomics.sub(this.#cells, this.#own, 1);
      Atomics.sub(this.#cells, TOTAL, 1);
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
}

const TOTAL = 0;
const FIRST_CELL = 1;
