/** Between accept and the pipeline: turns connections away that the process could not hold, and recovers from it. */

import type { Observer } from "../observe/events.ts";
import type { DescriptorBudget } from "./descriptors.ts";
import type { Accepted } from "./listen.ts";
import { serveConnection } from "./pipeline.ts";
import type { Surroundings } from "./surroundings.ts";

/** Options of {@linkcode Gate}. */
export interface GateOptions {
  readonly budget: DescriptorBudget;
  readonly observe: Observer;
  /**
   * Binds every listener anew. Called once connections fit again after some did not: accept may have met EMFILE in
   * the meantime, after which Deno's listener is dead and says nothing.
   */
  readonly renewListeners: () => Promise<void>;
}

/** One for all listeners of the process. */
export class Gate {
  readonly #options: GateOptions;
  #refused = 0;
  #reportedAt = -Infinity;
  #recovery: ReturnType<typeof setInterval> | null = null;
  #isClosed = false;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /** Serves the connection, or closes it at once. */
  serve(accepted: Accepted, surroundings: Surroundings): void {
    if (!this.#options.budget.admits()) return this.#refuse(accepted);
    serveConnection(accepted, surroundings, this.#broken).catch(this.#broken);
  }

  /** The pipeline promises that there is nothing of the kind; if there is, that is one connection's trouble. */
  readonly #broken = (error: unknown): void => {
    const stack = error instanceof Error ? error.stack ?? "" : "";
    this.#options.observe({ event: "server.failed", error: String(error), stack });
  };

  /** Waits for room no more, and binds nothing anew: the listeners are being closed. Who still comes is served. */
  close(): void {
    this.#isClosed = true;
    this.#stopWaiting();
  }

  #refuse({ socket, endpoint }: Accepted): void {
    socket.destroy();
    this.#refused++;
    this.#waitForRoom();
    if (performance.now() - this.#reportedAt < REPORT_INTERVAL_MS) return;
    this.#reportedAt = performance.now();
    const detail =
      "No file descriptors left for another connection: expected a higher limit (ulimit -n, LimitNOFILE)";
    this.#options.observe({
      event: "connection.refused",
      route: endpoint.routes[0]!.config.name,
      count: this.#refused,
      detail,
    });
    this.#refused = 0;
  }

  #waitForRoom(): void {
    if (!this.#isClosed) this.#recovery ??= setInterval(() => this.#recover(), RECOVERY_INTERVAL_MS);
  }

  #stopWaiting(): void {
    if (this.#recovery !== null) clearInterval(this.#recovery);
    this.#recovery = null;
  }

  async #recover(): Promise<void> {
    const { budget, observe, renewListeners } = this.#options;
    if (!budget.admits()) return;
    this.#stopWaiting();
    try {
      await renewListeners();
      budget.askForRenewal();
    } catch (error) {
      observe({ event: "server.failed", error: `Could not listen again: ${error}`, stack: "" });
      this.#waitForRoom();
    }
  }
}

// A flood must not flood the log.
const REPORT_INTERVAL_MS = 1_000;

// How long a listener may be dead after there is room again.
const RECOVERY_INTERVAL_MS = 100;
