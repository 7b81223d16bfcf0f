/** CPU of the proxy for one query, and how many queries get through. */

import { DIRECT, PGTLS, proxies, STUNNEL, throughTls } from "./contestants.ts";
import type { Contestant, Figure } from "./figure.ts";
import { runPgbench, type Target } from "./programs.ts";
import type { ServerProcess } from "./process.ts";
import type { Stage } from "./stage.ts";

/** pgbench's select-only script, prepared, on sessions that stay open: TLS client leg, plaintext backend. */
export const queries: Figure = {
  name: "queries",
  title: "Queries: pgbench -S -M prepared, 8 clients, TLS client leg, plaintext backend",
  metrics: [
    { key: "cpu", title: "CPU µs a query", digits: 1 },
    { key: "tps", title: "queries/s", digits: 0 },
  ],
  comparisons: [
    { of: PGTLS, to: STUNNEL, metric: "cpu" },
    { of: PGTLS, to: STUNNEL, metric: "tps" },
    { of: PGTLS, to: DIRECT, metric: "tps" },
  ],
  open,
};

async function open(stage: Stage, stack: AsyncDisposableStack): Promise<readonly Contestant[]> {
  const direct: Target = { port: stage.plain.port, sslmode: "disable" };
  const contestants: Contestant[] = [{
    name: DIRECT,
    measure: async () => ({ tps: (await select(stage, direct, stage.effort.querySeconds)).tps }),
  }];
  for (const proxy of proxies(stage)) {
    const server = stack.use(await proxy.start("plaintext"));
    await warmUp(stage, server);
    contestants.push({ name: proxy.name, measure: () => measure(stage, server) });
  }
  return contestants;
}

/** Lets V8 compile what is hot; a proxy that has served for a minute is what users have. */
export async function warmUp(stage: Stage, server: ServerProcess): Promise<void> {
  await select(stage, throughTls(server), WARM_UP_SECONDS);
}

/** The CPU of opening eight connections is in it; over some ten thousand queries it does not show. */
export async function measure(stage: Stage, server: ServerProcess): Promise<{ cpu: number; tps: number }> {
  const before = server.cpuMs();
  const { transactions, tps } = await select(stage, throughTls(server), stage.effort.querySeconds);
  return { cpu: (server.cpuMs() - before) * 1_000 / transactions, tps };
}

function select({ programs }: Stage, target: Target, seconds: number): ReturnType<typeof runPgbench> {
  const args = ["-n", "-S", "-M", "prepared", "-c", "8", "-j", "2", "-T", String(seconds)];
  return runPgbench(programs.pgbench, target, args);
}

const WARM_UP_SECONDS = 2;
