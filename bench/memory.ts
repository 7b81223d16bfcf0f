/** Memory of the proxy for connections that do nothing, which is what most connections do. */

import { ClientProgram } from "./client_program.ts";
import { PGTLS, proxies, type Proxy, STUNNEL, through } from "./contestants.ts";
import { PGBOUNCER } from "./peers.ts";
import type { Contestant, Figure } from "./figure.ts";
import { type ServerProcess, sleep } from "./process.ts";
import { runPgbench } from "./programs.ts";
import { IDLE_SESSIONS as MANY, type Stage } from "./stage.ts";

const PEERS = [STUNNEL, PGBOUNCER];

/**
 * Sessions that have logged in over TLS and wait, on a fresh process each round: some, then up to 2,000. What a process
 * takes once, whatever the number, is in the first average and falls out of the slope between the two counts.
 */
export const memory: Figure = {
  name: "memory",
  title: `Memory: idle TLS sessions on a fresh process, first some, then ${
    MANY.toLocaleString("en")
  }, plaintext backend`,
  metrics: [
    { key: "sessions", title: "sessions", digits: 0 },
    { key: "before", title: "MB before", digits: 1 },
    { key: "added", title: "MB added", digits: 1 },
    { key: "each", title: "kB a session", digits: 1 },
    { key: "addedByMany", title: `MB added by ${MANY.toLocaleString("en")}`, digits: 1 },
    { key: "eachOfMany", title: "kB a session of those", digits: 1 },
    { key: "slope", title: "kB a further session (slope)", digits: 1 },
  ],
  comparisons: PEERS.flatMap((to) =>
    ["added", "addedByMany", "slope"].map((metric) => ({ of: PGTLS, to, metric }))
  ),
  open: (stage) => Promise.resolve(proxies(stage, PEERS).map((proxy) => contestant(stage, proxy))),
};

function contestant(stage: Stage, proxy: Proxy): Contestant {
  return {
    name: proxy.name,
    measure: async () => {
      await using server = await proxy.start("plaintext");
      await warmUp(stage, proxy, server);
      const some = stage.effort.idleConnections;
      const before = await settledRss(server);
      await using _some = await openIdle(server.port, some);
      const added = await settledRss(server) - before;
      await using _more = await openIdle(server.port, MANY - some);
      const addedByMany = await settledRss(server) - before;
      return {
        sessions: some,
        before: before / 1e6,
        added: added / 1e6,
        each: added / 1e3 / some,
        addedByMany: addedByMany / 1e6,
        eachOfMany: addedByMany / 1e3 / MANY,
        slope: (addedByMany - added) / 1e3 / (MANY - some),
      };
    },
  };
}

/** What is loaded and compiled at the first connections is not the price of the next. */
async function warmUp({ programs }: Stage, proxy: Proxy, server: ServerProcess): Promise<void> {
  await runPgbench(programs.pgbench, through(proxy, server), ["-n", "-C", "-S", "-c", "2", "-t", "50"]);
}

async function settledRss(server: ServerProcess): Promise<number> {
  await sleep(SETTLE_MS);
  return server.rssBytes();
}

/** A process that holds sessions open. @throws {Error} If not all of them get through. */
async function openIdle(port: number, count: number): Promise<ClientProgram> {
  const clients = new ClientProgram("./idle_clients.ts", [port, count]);
  if (await clients.line() !== null) return clients;
  await clients[Symbol.asyncDispose]();
  throw new Error(`Could not open ${count} sessions on port ${port}`);
}

// Longer than V8 waits before it gives back what it does not need any more.
const SETTLE_MS = 3_000;
