/** What a second worker brings where it has a core of its own: new connections on one and on two slow cores. */

import { PGTLS, pgtls } from "./contestants.ts";
import { type Contestant, cpuComparisons, type Figure } from "./figure.ts";
import { MachineTime, type ServerProcess } from "./process.ts";
import { runPgbench } from "./programs.ts";
import { SlowCores } from "./slow_cores.ts";
import type { Stage } from "./stage.ts";

/** Of a core of this machine: pgbench and PostgreSQL have the rest, and are never what keeps the proxy waiting. */
const SPEED = 0.2;

// Each waits for its own connection, so that many are under way whichever worker they have come to.
const CLIENTS = 32;

const CONTESTANTS = [
  { workers: 1, count: 1 },
  { workers: 1, count: 2 },
  { workers: 2, count: 2 },
] as const;

/** What a contestant is called. */
export function named(workers: number, cores: number): string {
  return `${PGTLS}, workers = ${workers}, ${cores} slow ${cores === 1 ? "core" : "cores"}`;
}

/**
 * As many new connections as the proxy can take. That they wait for the proxy, and not for the rest of the machine, is
 * told by two of the numbers: it uses up what it may, and the machine has time left.
 */
export const cores: Figure = {
  name: "cores",
  title: `New connections on cores of ${
    100 * SPEED
  } %: pgbench -C with an empty script, ${CLIENTS} clients, TLS client leg, plaintext backend`,
  metrics: [
    { key: "rate", title: "connections/s", digits: 0 },
    { key: "used", title: "cores used, of this machine's", digits: 2 },
    { key: "cpu", title: "CPU ms a connection", digits: 2 },
    { key: "idle", title: "machine idle, %", digits: 0 },
  ],
  comparisons: [
    { of: named(2, 2), to: named(1, 2), metric: "rate" },
    { of: named(2, 2), to: named(1, 1), metric: "rate" },
    { of: named(1, 2), to: named(1, 1), metric: "rate" },
    ...cpuComparisons(named(2, 2), [named(1, 2)]),
  ],
  open,
};

async function open(stage: Stage, stack: AsyncDisposableStack): Promise<readonly Contestant[]> {
  const groups: SlowCores[] = [];
  // Before the servers, so that it comes after their end.
  stack.defer(async () => {
    for (const group of groups) await group[Symbol.asyncDispose]();
  });
  const contestants: Contestant[] = [];
  for (const { workers, count } of CONTESTANTS) {
    const name = named(workers, count);
    const server = stack.use(await pgtls(stage, name, { config: () => ({ workers }) }).start("plaintext"));
    // At full speed, and each isolate as often: what is to be measured is a warm process.
    const warmUp = String(Math.ceil(WARM_UP_CONNECTIONS * workers / CLIENTS));
    await reconnect(stage, server, ["-t", warmUp]);
    const group = await SlowCores.hold(server.pid, { count, speed: SPEED });
    groups.push(group);
    contestants.push({ name, measure: () => measure(stage, server, group) });
  }
  return contestants;
}

async function measure(
  stage: Stage,
  server: ServerProcess,
  group: SlowCores,
): Promise<Record<string, number>> {
  const seconds = String(2 * stage.effort.querySeconds);
  await group.confine();
  const machine = new MachineTime();
  const [startedAt, before] = [performance.now(), server.cpuMs()];
  const { transactions, tps } = await reconnect(stage, server, ["-T", seconds]);
  const used = server.cpuMs() - before;
  return {
    rate: tps,
    used: used / (performance.now() - startedAt),
    cpu: used / transactions,
    idle: 100 * machine.idleShare(),
  };
}

/** Logins and nothing else. A thread for each client: pgbench waits for a new connection with the whole thread. */
function reconnect({ programs, files }: Stage, { port }: ServerProcess, long: readonly string[]) {
  const clients = ["-c", String(CLIENTS), "-j", String(CLIENTS)];
  const args = ["-n", "-C", "-f", files.nothing, ...clients, ...long];
  return runPgbench(programs.pgbench, { port, sslmode: "require" }, args);
}

const WARM_UP_CONNECTIONS = 800;
