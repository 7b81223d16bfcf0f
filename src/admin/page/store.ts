/// <reference lib="dom" />
/** Gathers changes and hands them on together, a few times a second: calm for the eye, cheap for the machine. */

import { type Action, EMPTY, type PageState, reduce } from "./state.ts";

/** Holds the page's state. */
export class Store {
  #state: PageState = EMPTY;
  #queue: Action[] = [];
  #isScheduled = false;
  readonly #listeners = new Set<() => void>();

  get state(): PageState {
    return this.#state;
  }

  /** Takes a change; the state follows soon. */
  dispatch(action: Action): void {
    this.#queue.push(action);
    // A hidden page draws no frames, but the queue must not grow without end.
    if (this.#queue.length >= QUEUE_LIMIT) this.#apply();
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setTimeout(() => requestAnimationFrame(() => this.#flush()), GATHER_MS);
  }

  /** Calls `listener` after changes, until the returned function is called. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #flush(): void {
    this.#isScheduled = false;
    this.#apply();
    for (const listener of this.#listeners) listener();
  }

  #apply(): void {
    const actions = this.#queue;
    this.#queue = [];
    this.#state = reduce(this.#state, actions);
  }
}

const GATHER_MS = 200;
const QUEUE_LIMIT = 1_000;
