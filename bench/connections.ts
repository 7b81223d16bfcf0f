/** CPU of the proxy for one new connection, by what it has to do towards the backend. */

import { type BackendKind, PGTLS, proxies, STUNNEL, through } from "./contestants.ts";
import { PGBOUNCER } from "./peers.ts";
import type { Contestant, Figure } from "./figure.ts";
import type { ServerProcess } from "./process.ts";
import { type PgbenchResult, runPgbench, type Target } from "./programs.ts";
import { BUNDLE_SIZE, type Stage } from "./stage.ts";

/** What stands behind the proxy, in words. */
const BACKENDS: Readonly<Record<BackendKind, string>> = {
  plaintext: "plaintext",
  one_ca: "TLS, 1 CA",
  many_cas: `TLS, ${BUNDLE_SIZE} CAs`,
};

/** pgbench -C: a new connection, full TLS handshakes and one query, again and again. */
export const connections: Figure = {
  name: "connections",
  title: "New connections: pgbench -C -S, 2 clients, TLS client leg, by backend",
  metrics: [
    { key: "cpu", title: "CPU ms a connection", digits: 2 },
    { key: "tps", title: "connections/s", digits: 0 },
  ],
  comparisons: [
    ...Object.values(BACKENDS).map((backend) => ({
      of: named(PGTLS, backend),
      to: named(STUNNEL, backend),
      metric: "cpu",
    })),
    {
      of: named(PGTLS, BACKENDS.plaintext),
      to: named(PGBOUNCER, BACKENDS.plaintext),
      metric: "cpu",
    },
    ...[PGTLS, STUNNEL].map((proxy) => ({
      of: named(proxy, BACKENDS.many_cas),
      to: named(proxy, BACKENDS.one_ca),
      metric: "cpu",
    })),
  ],
  open,
};

async function open(stage: Stage, stack: AsyncDisposableStack): Promise<readonly Contestant[]> {
  const contestants: Contestant[] = [];
  for (const backend of Object.keys(BACKENDS) as BackendKind[]) {
    for (const proxy of proxies(stage, backend === "plaintext" ? [STUNNEL, PGBOUNCER] : [STUNNEL])) {
      const server = stack.use(await proxy.start(backend));
      const target = through(proxy, server);
      await reconnect(stage, target, WARM_UP_CONNECTIONS);
      contestants.push({
        name: named(proxy.name, BACKENDS[backend]),
        measure: () => measure(stage, server, target),
      });
    }
  }
  return contestants;
}

async function measure(
  stage: Stage,
  server: ServerProcess,
  target: Target,
): Promise<{ cpu: number; tps: number }> {
  const before = server.cpuMs();
  const { transactions, tps } = await reconnect(stage, target, stage.effort.connections);
  return { cpu: (server.cpuMs() - before) / (transactions + SETUP_CONNECTIONS), tps };
}

function reconnect({ programs }: Stage, target: Target, count: number): Promise<PgbenchResult> {
  const args = ["-n", "-C", "-S", "-c", "2", "-j", "2", "-t", String(Math.ceil(count / 2))];
  return runPgbench(programs.pgbench, target, args);
}

function named(proxy: string, backend: string): string {
  return `${proxy} → ${backend}`;
}

// pgbench opens one more, to look at its tables.
const SETUP_CONNECTIONS = 1;

const WARM_UP_CONNECTIONS = 200;
