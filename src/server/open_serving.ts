/** Who serves: this isolate, or as many workers as are wanted. */

import { MAX_CONNECTIONS as MAX_ADMIN_CONNECTIONS } from "../admin/max_connections.ts";
import type { Config } from "../config/types.ts";
import type { Observer } from "../observe/events.ts";
import type { EarlyIsolates } from "../workers/early_isolates.ts";
import { poolSize } from "../workers/pool_size.ts";
import { workerModule } from "../workers/worker_module.ts";
import type { Serving } from "./serving.ts";

/** Options of {@linkcode OpenServing}. */
export interface ServingOptions {
  readonly observe: Observer;
  /** Told when a worker is caught in something and cannot be replaced: only a restart of the process helps. */
  readonly onHung: (detail: string) => void;
  /** The module that workers run, for tests. @default As {@linkcode workerModule} says. */
  readonly module?: string;
  /** Isolates that run it already. Those that are not taken remain the caller's. */
  readonly isolates?: EarlyIsolates;
  /** How often each worker is asked whether it is there. @default 2000 */
  readonly pingIntervalMs?: number;
}

/** Makes what serves; it serves nothing yet. */
export type OpenServing = (options: ServingOptions) => Serving;

/**
 * Loads what serves as the configuration wants it, and not what would serve otherwise: the data path takes as long to
 * load as all the rest, and with workers this isolate has no use for it.
 */
export async function servingOf({ workers, file, admin }: Config): Promise<OpenServing> {
  const size = poolSize(workers);
  const reserve = admin === null ? 0 : MAX_ADMIN_CONNECTIONS;
  if (size > 1) {
    const { WorkerPool } = await import("../workers/pool.ts");
    return ({ module = workerModule(), ...options }) =>
      new WorkerPool({ ...options, size, module, file, reserve });
  }
  const { Server } = await import("../server.ts");
  const { DescriptorBudget } = await import("../connection/descriptors.ts");
  return ({ observe }) => new Server({ observe, budget: new DescriptorBudget({ file, reserve }) });
}
