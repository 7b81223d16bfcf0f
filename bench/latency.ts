/** How long a query takes at a rate that everybody keeps up with. */

import { DIRECT, PGTLS, proxies, STUNNEL, through } from "./contestants.ts";
import type { Contestant, Figure } from "./figure.ts";
import { PGBOUNCER } from "./peers.ts";
import { runPgbench, type Target } from "./programs.ts";
import type { Stage } from "./stage.ts";

const PEERS = [STUNNEL, PGBOUNCER];

/** Latencies of each transaction, by pgbench's own log; what it waited for its turn counts. */
export const latency: Figure = {
  name: "latency",
  title: "Latency: pgbench -S -M prepared -R, 8 clients, TLS client leg, plaintext backend",
  metrics: [
    { key: "rate", title: "rate, queries/s", digits: 0 },
    { key: "p50", title: "p50, ms", digits: 2 },
    { key: "p99", title: "p99, ms", digits: 2 },
  ],
  comparisons: [STUNNEL, PGBOUNCER, DIRECT].flatMap((to) =>
    ["p50", "p99"].map((metric) => ({ of: PGTLS, to, metric }))
  ),
  open,
};

async function open(stage: Stage, stack: AsyncDisposableStack): Promise<readonly Contestant[]> {
  const direct: Target = { port: stage.plain.port, sslmode: "disable" };
  const rate = Math.round((await select(stage, direct, [])).tps * SHARE_OF_DIRECT);
  const contestants: Contestant[] = [{ name: DIRECT, measure: () => measure(stage, direct, rate) }];
  for (const proxy of proxies(stage, PEERS)) {
    const target = through(proxy, stack.use(await proxy.start("plaintext")));
    await select(stage, target, []);
    contestants.push({ name: proxy.name, measure: () => measure(stage, target, rate) });
  }
  return contestants;
}

async function measure(stage: Stage, target: Target, rate: number): Promise<Record<string, number>> {
  const dir = await Deno.makeTempDir({ dir: stage.dir });
  await select(stage, target, ["-R", String(rate), "-l", `--log-prefix=${dir}/log`]);
  const latencies: number[] = [];
  for await (const { name } of Deno.readDir(dir)) {
    const lines = (await Deno.readTextFile(`${dir}/${name}`)).trimEnd().split("\n");
    // Client, transaction, latency in microseconds, …
    latencies.push(...lines.map((line) => Number(line.split(" ")[2]) / 1e3));
  }
  await Deno.remove(dir, { recursive: true });
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? NaN;
  return { rate, p50: at(0.5), p99: at(0.99) };
}

function select(
  { programs, effort }: Stage,
  target: Target,
  more: readonly string[],
): ReturnType<typeof runPgbench> {
  const args = [
    "-n",
    "-S",
    "-M",
    "prepared",
    "-c",
    "8",
    "-j",
    "2",
    "-T",
    String(effort.querySeconds),
    ...more,
  ];
  return runPgbench(programs.pgbench, target, args);
}

// Half of it is more than any proxy of one thread gets through on two CPUs that pgbench and PostgreSQL use, too.
const SHARE_OF_DIRECT = 0.1;
