/** Long work in an isolate that serves connections: in steps, with time in between for whoever waits. */

/** What a pace goes by; for tests. */
export interface PaceClock {
  /** Milliseconds. */
  now(): number;
  sleep(ms: number): Promise<void>;
}

/**
 * One for each piece of long work. A turn of the event loop between two steps would not do: a connection takes some ten
 * turns to be opened, and would wait for a step in each of them. So work rests as long as it has worked, and takes half
 * of the isolate at most.
 */
export class Pace {
  readonly #clock: PaceClock;
  #resumedAt: number;

  constructor(clock: PaceClock = REAL_CLOCK) {
    this.#clock = clock;
    this.#resumedAt = clock.now();
  }

  /** Between two steps: resolves at once if next to nothing has been done since the last rest. */
  async rest(): Promise<void> {
    const worked = this.#clock.now() - this.#resumedAt;
    if (worked < STEP_MS) return;
    await this.#clock.sleep(Math.min(worked, MAX_REST_MS));
    this.#resumedAt = this.#clock.now();
  }
}

const REAL_CLOCK: PaceClock = {
  now: () => performance.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

// About what opening a connection takes: who waits for one step hardly notices.
const STEP_MS = 4;

// A step that waited itself, for an app's module to load, is no work to rest from.
const MAX_REST_MS = 50;
