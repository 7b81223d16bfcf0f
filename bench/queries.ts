/** CPU of the proxy for one query, and how many queries get through: prepared, simple and pipelined. */

import { DIRECT, PGTLS, pgtls, proxies, STUNNEL, through } from "./contestants.ts";
import { type Contestant, cpuComparisons, type Figure } from "./figure.ts";
import { HAPROXY, PGBOUNCER } from "./peers.ts";
import { runPgbench, type Target } from "./programs.ts";
import type { ServerProcess } from "./process.ts";
import type { Stage } from "./stage.ts";

const PEERS = [STUNNEL, PGBOUNCER, HAPROXY];

/** By default there is a worker for each CPU; PgBouncer is one thread, too. */
export const ONE_ISOLATE = `${PGTLS}, workers = 1`;

/** A kind of query. */
interface Kind {
  readonly name: string;
  readonly title: string;
  /** What pgbench is to run. */
  readonly args: (stage: Stage) => readonly string[];
  /** How many queries one of its transactions is. */
  readonly queries: number;
}

const PREPARED: Kind = {
  name: "prepared",
  title: "pgbench -S -M prepared",
  args: () => ["-S", "-M", "prepared"],
  queries: 1,
};

const KINDS: readonly Kind[] = [
  PREPARED,
  { name: "simple", title: "pgbench -S -M simple", args: () => ["-S", "-M", "simple"], queries: 1 },
  {
    name: "pipelined",
    title: "ten selects in one pipeline, prepared",
    args: ({ files }) => ["-M", "prepared", "-f", files.pipeline],
    queries: 10,
  },
];

/** On sessions that stay open. */
export const queries: readonly Figure[] = KINDS.map((kind) => ({
  name: kind.name,
  title: `Queries, ${kind.title}: 8 clients, TLS client leg, plaintext backend`,
  metrics: [
    { key: "cpu", title: "CPU µs a query", digits: 1 },
    { key: "tps", title: "queries/s", digits: 0 },
  ],
  comparisons: [
    ...cpuComparisons(PGTLS, PEERS),
    ...cpuComparisons(ONE_ISOLATE, PEERS),
    ...[STUNNEL, PGBOUNCER, DIRECT].map((to) => ({ of: PGTLS, to, metric: "tps" })),
  ],
  open: (stage, stack) => open(kind, stage, stack),
}));

async function open(kind: Kind, stage: Stage, stack: AsyncDisposableStack): Promise<readonly Contestant[]> {
  const direct: Target = { port: stage.plain.port, sslmode: "disable" };
  const contestants: Contestant[] = [{
    name: DIRECT,
    measure: async () => ({ tps: (await run(kind, stage, direct, stage.effort.querySeconds)).tps }),
  }];
  const oneIsolate = pgtls(stage, ONE_ISOLATE, { config: () => ({ workers: 1 }) });
  for (const proxy of [oneIsolate, ...proxies(stage, PEERS)]) {
    const server = stack.use(await proxy.start("plaintext"));
    const target = through(proxy, server);
    await run(kind, stage, target, WARM_UP_SECONDS);
    contestants.push({ name: proxy.name, measure: () => measureKind(kind, stage, server, target) });
  }
  return contestants;
}

/** Lets V8 compile what is hot; a proxy that has served for a minute is what users have. */
export async function warmUp(stage: Stage, server: ServerProcess): Promise<void> {
  await run(PREPARED, stage, { port: server.port, sslmode: "require" }, WARM_UP_SECONDS);
}

/** One measurement of prepared queries through a proxy whose clients use TLS. */
export function measure(stage: Stage, server: ServerProcess): Promise<{ cpu: number; tps: number }> {
  return measureKind(PREPARED, stage, server, { port: server.port, sslmode: "require" });
}

/** The CPU of opening eight connections is in it; over some ten thousand queries it does not show. */
async function measureKind(
  kind: Kind,
  stage: Stage,
  server: ServerProcess,
  target: Target,
): Promise<{ cpu: number; tps: number }> {
  const before = server.cpuMs();
  const { count, tps } = await run(kind, stage, target, stage.effort.querySeconds);
  return { cpu: (server.cpuMs() - before) * 1_000 / count, tps };
}

async function run(
  kind: Kind,
  stage: Stage,
  target: Target,
  seconds: number,
): Promise<{ count: number; tps: number }> {
  const args = ["-n", ...kind.args(stage), "-c", "8", "-j", "2", "-T", String(seconds)];
  const { transactions, tps } = await runPgbench(stage.programs.pgbench, target, args);
  return { count: transactions * kind.queries, tps: tps * kind.queries };
}

const WARM_UP_SECONDS = 2;
