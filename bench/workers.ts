/** What more than one isolate brings, and what it costs. */

import { freePort } from "../src/demo/ports.ts";
import { PGTLS, pgtls } from "./contestants.ts";
import { type Contestant, cpuComparisons, type Figure } from "./figure.ts";
import { measure, warmUp } from "./queries.ts";
import type { Stage } from "./stage.ts";

const COUNTS = [1, 2];

const named = (count: number) => `${PGTLS}, workers = ${count}`;

/**
 * The queries of `prepared`, by number of workers. A tree that takes the key and starts no workers is left out:
 * pgtls itself says how many there are.
 */
export const workers: Figure = {
  name: "workers",
  title: "Workers: pgbench -S -M prepared, 8 clients, TLS client leg, plaintext backend, admin server on",
  metrics: [
    { key: "cpu", title: "CPU µs a query", digits: 1 },
    { key: "tps", title: "queries/s", digits: 0 },
  ],
  comparisons: [
    ...cpuComparisons(named(2), [named(1)]),
    { of: named(2), to: named(1), metric: "tps" },
  ],
  open,
};

async function open(stage: Stage, stack: AsyncDisposableStack): Promise<readonly Contestant[]> {
  const contestants: Contestant[] = [];
  for (const count of COUNTS) {
    const port = freePort();
    const config = () => ({ workers: count, admin: { bind_address: `127.0.0.1:${port}` } });
    const server = stack.use(await pgtls(stage, named(count), { config }).start("plaintext"));
    if (await countWorkers(port) !== count) continue;
    await warmUp(stage, server);
    contestants.push({ name: named(count), measure: () => measure(stage, server) });
  }
  return contestants;
}

async function countWorkers(adminPort: number): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  return Number(metrics.match(/^pgtls_workers (\d+)$/m)?.[1] ?? NaN);
}
