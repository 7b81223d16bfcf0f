/** A deadline that stages wait against, and that can be called off. */

import { StageError } from "../errors.ts";
import type { CloseReason } from "../errors.ts";

/** Aborts its signal with a {@linkcode StageError} unless it is cleared in time. */
export class Deadline {
  readonly #controller = new AbortController();
  readonly #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param ms Milliseconds from now. */
  constructor(ms: number, reason: CloseReason, message: string) {
    if (ms === Infinity) return;
    this.#timer = setTimeout(() => this.abort(new StageError(reason, message)), ms);
  }

  /** Never comes by itself: only {@linkcode abort} ends the wait. */
  static never(): Deadline {
    return new Deadline(Infinity, "internal_error", "");
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends the wait now, for another reason than time. */
  abort(error: StageError): void {
    this.clear();
    this.#controller.abort(error);
  }

  /** Calls the deadline off. What it guarded may take as long as it likes from here on. */
  clear(): void {
    clearTimeout(this.#timer);
  }
}
