/**
 * How far a worker's events have come, in memory that it and the main isolate share: a message back for each batch would
 * wake an isolate, which costs more than the batch.
 */

/** Memory for the {@linkcode EventTally} of one worker. */
export function sharedTally(): SharedArrayBuffer {
  return new SharedArrayBuffer(CELLS * Int32Array.BYTES_PER_ELEMENT);
}

/** Both sides have one, of the same memory. */
export class EventTally {
  readonly #cells: Int32Array;

  constructor(memory: SharedArrayBuffer = sharedTally()) {
    this.#cells = new Int32Array(memory);
  }

  /** Batches that are under way. */
  get underWay(): number {
    return Atomics.load(this.#cells, UNDER_WAY);
  }

  /** Connections of which the main isolate has heard nothing yet, not even that they were left out. */
  get untold(): number {
    return Atomics.load(this.#cells, UNTOLD);
  }

  /** The worker has accepted `count` connections. */
  begin(count: number): void {
    Atomics.add(this.#cells, UNTOLD, count);
  }

  /** The worker has sent a batch. */
  send(): void {
    Atomics.add(this.#cells, UNDER_WAY, 1);
  }

  /** The main isolate has taken a batch, which told of `begun` connections. */
  take(begun: number): void {
    Atomics.sub(this.#cells, UNTOLD, begun);
    Atomics.sub(this.#cells, UNDER_WAY, 1);
  }
}

const UNDER_WAY = 0;
const UNTOLD = 1;
const CELLS = 2;
