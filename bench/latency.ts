/** How long a query takes at a rate that everybody keeps up with, and at half of what a direct connection can do. */

import { DIRECT, PGTLS, proxies, STUNNEL, through } from "./contestants.ts";
import type { Contestant, Figure } from "./figure.ts";
import { PGBOUNCER } from "./peers.ts";
import { runPgbench, type Target } from "./programs.ts";
import type { Stage } from "./stage.ts";

const PEERS = [STUNNEL, PGBOUNCER];

/** By how much of what a direct connection gets through. */
export const SHARES: readonly Share[] = [
  // Everybody keeps up with it.
  { name: "a tenth", of: 0.1 },
  // More than a proxy of one thread can do on two CPUs that pgbench and PostgreSQL use, too: then it is a queue's length.
  { name: "half", of: 0.5 },
];

interface Share {
  readonly name: string;
  readonly of: number;
}

/** What a contestant is called at one of the rates. */
export function atShare(name: string, { name: share }: Share): string {
  return `${name}, ${share}`;
}

/** Latencies of each transaction, by pgbench's own log; what it waited for its turn counts. */
export const latency: Figure = {
  name: "latency",
  title:
    "Latency: pgbench -S -M prepared -R, a tenth and half of the direct maximum, 8 clients, TLS client leg, plaintext backend",
  metrics: [
    { key: "rate", title: "asked for, queries/s", digits: 0 },
    { key: "tps", title: "got through, queries/s", digits: 0 },
    { key: "p50", title: "p50, ms", digits: 2 },
    { key: "p99", title: "p99, ms", digits: 2 },
  ],
  comparisons: SHARES.flatMap((share) =>
    [STUNNEL, PGBOUNCER, DIRECT].flatMap((to) =>
      ["p50", "p99"].map((metric) => ({ of: atShare(PGTLS, share), to: atShare(to, share), metric }))
    )
  ),
  open,
};

async function open(stage: Stage, stack: AsyncDisposableStack): Promise<readonly Contestant[]> {
  const direct: Target = { port: stage.plain.port, sslmode: "disable" };
  const { tps } = await select(stage, direct, []);
  const targets = [{ name: DIRECT, target: direct }];
  for (const proxy of proxies(stage, PEERS)) {
    const target = through(proxy, stack.use(await proxy.start("plaintext")));
    await select(stage, target, []);
    targets.push({ name: proxy.name, target });
  }
  return SHARES.flatMap((share) =>
    targets.map(({ name, target }): Contestant => ({
      name: atShare(name, share),
      measure: () => measure(stage, target, Math.round(tps * share.of)),
    }))
  );
}

async function measure(stage: Stage, target: Target, rate: number): Promise<Record<string, number>> {
  const dir = await Deno.makeTempDir({ dir: stage.dir });
  const { tps } = await select(stage, target, ["-R", String(rate), "-l", `--log-prefix=${dir}/log`]);
  const latencies: number[] = [];
  for await (const { name } of Deno.readDir(dir)) {
    const lines = (await Deno.readTextFile(`${dir}/${name}`)).trimEnd().split("\n");
    // Client, transaction, latency in microseconds, …
    latencies.push(...lines.map((line) => Number(line.split(" ")[2]) / 1e3));
  }
  await Deno.remove(dir, { recursive: true });
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? NaN;
  return { rate, tps, p50: at(0.5), p99: at(0.99) };
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
