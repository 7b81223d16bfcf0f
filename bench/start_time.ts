/** How long a proxy takes from its command to its first connection. */

import { PGTLS, proxies, STUNNEL } from "./contestants.ts";
import { PGBOUNCER } from "./peers.ts";
import type { Figure } from "./figure.ts";

const PEERS = [STUNNEL, PGBOUNCER];

/** Spawn to listening, program files in the page cache. */
export const startTime: Figure = {
  name: "start",
  title: "Start: from the command to the first connection taken",
  metrics: [
    { key: "ms", title: "ms", digits: 0 },
    { key: "cpu", title: "CPU ms", digits: 0 },
  ],
  comparisons: PEERS.map((to) => ({ of: PGTLS, to, metric: "ms" })),
  open: (stage) =>
    Promise.resolve(
      proxies(stage, PEERS).map((proxy) => ({
        name: proxy.name,
        measure: async () => {
          await using server = await proxy.start("plaintext");
          return { ms: server.startMs, cpu: server.cpuMs() };
        },
      })),
    ),
};
