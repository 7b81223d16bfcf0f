/** How many workers there are to be. */

/**
 * From what the configuration says to a number of isolates.
 *
 * @returns 1 = there is no worker: the main isolate serves.
 */
export function poolSize(workers: number | "auto"): number {
  return workers === "auto" ? Math.min(navigator.hardwareConcurrency, MAX_AUTO_WORKERS) : workers;
}

// Each takes tens of megabytes, and PostgreSQL behind them has to be as quick.
const MAX_AUTO_WORKERS = 8;
