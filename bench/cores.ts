/** What a second worker brings where it has a core of its own: new connections on one and on two slow cores. */

import { ClientProgram } from "./client_program.ts";
import { PGTLS, pgtls } from "./contestants.ts";
import { type Contestant, cpuComparisons, type Figure } from "./figure.ts";
import { MachineTime, type ServerProcess } from "./process.ts";
import { runPgbench } from "./programs.ts";
import { SlowCores } from "./slow_cores.ts";
import type { Stage } from "./stage.ts";

/** Of a core of this machine: pgbench and the backend have the rest, and are never what keeps the proxy waiting. */
const SPEED = 0.2;

// Each waits for its own connection, so that many are under way whichever worker they have come to.
const CLIENTS = 32;

/** A way to give cores to workers. */
interface Setup {
  readonly processes: number;
  /** Of each process. */
  readonly workers: number;
  readonly count: number;
}

const CONTESTANTS: readonly Setup[] = [
  { processes: 1, workers: 1, count: 1 },
  { processes: 1, workers: 1, count: 2 },
  { processes: 1, workers: 2, count: 2 },
  { processes: 2, workers: 1, count: 1 },
];

/** What a contestant is called. */
export function named(workers: number, cores: number): string {
  return `${PGTLS}, workers = ${workers}, ${cores} slow ${cores === 1 ? "core" : "cores"}`;
}

/** Two that share nothing: what they get through together is all there is to get. */
const TWICE = `twice ${named(1, 1)} each`;

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
    { of: TWICE, to: named(1, 1), metric: "rate" },
    ...cpuComparisons(named(2, 2), [named(1, 2), TWICE]),
  ],
  open,
};

/** What has one core or two, whichever way. */
interface Confined extends Setup {
  readonly name: string;
  readonly parts: readonly { readonly server: ServerProcess; readonly group: SlowCores }[];
}

async function open(stage: Stage, stack: AsyncDisposableStack): Promise<readonly Contestant[]> {
  const groups: SlowCores[] = [];
  // Before the servers, so that it comes after their end.
  stack.defer(async () => {
    for (const group of groups) await group[Symbol.asyncDispose]();
  });
  // Not PostgreSQL: the process it starts for each connection takes more of the machine than the proxy does.
  const backend = stack.use(new ClientProgram("login_backend.ts", []));
  const plainPort = Number(await backend.line());
  const all: Confined[] = [];
  for (const setup of CONTESTANTS) {
    const { processes, workers, count } = setup;
    const name = processes === 1 ? named(workers, count) : TWICE;
    const proxy = pgtls(stage, name, { config: () => ({ workers }), plainPort });
    const servers: ServerProcess[] = [];
    for (let i = 0; i < processes; i++) servers.push(stack.use(await proxy.start("plaintext")));
    // At full speed, and each isolate as often: what is to be measured is a warm process.
    const warmUp = String(Math.ceil(WARM_UP_CONNECTIONS * workers / CLIENTS));
    for (const server of servers) await reconnect(stage, server, { clients: CLIENTS, long: ["-t", warmUp] });
    const parts: Confined["parts"][number][] = [];
    for (const server of servers) {
      const group = await SlowCores.hold(server.pid, { count, speed: SPEED });
      groups.push(group);
      parts.push({ server, group });
    }
    all.push({ ...setup, name, parts });
  }
  return all.map((one) => ({ name: one.name, measure: () => measure(stage, one, beside(one, all)) }));
}

/**
 * Who works at the same time: the more a machine does, the longer the same instructions take, so whoever is compared must
 * find it equally busy.
 */
function beside({ processes, workers }: Confined, all: readonly Confined[]): Confined {
  const other = processes * workers === 1 ? named(2, 2) : named(1, 2);
  return all.find(({ name }) => name === other)!;
}

async function measure(stage: Stage, one: Confined, other: Confined): Promise<Record<string, number>> {
  const seconds = 2 * stage.effort.querySeconds;
  for (const { group } of [...one.parts, ...other.parts]) await group.confine();
  const machine = new MachineTime();
  const [done] = await Promise.all([load(stage, one, seconds), load(stage, other, seconds)]);
  return { ...done, idle: 100 * machine.idleShare() };
}

/** All its processes together have as many clients as anybody. */
async function load(stage: Stage, { parts }: Confined, seconds: number) {
  const clients = CLIENTS / parts.length;
  const cpuMs = () => sum(parts.map(({ server }) => server.cpuMs()));
  const [startedAt, before] = [performance.now(), cpuMs()];
  const long = ["-T", String(seconds)];
  const runs = await Promise.all(parts.map(({ server }) => reconnect(stage, server, { clients, long })));
  const used = cpuMs() - before;
  return {
    rate: sum(runs.map(({ tps }) => tps)),
    used: used / (performance.now() - startedAt),
    cpu: used / sum(runs.map(({ transactions }) => transactions)),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Logins and nothing else. A thread for each client: pgbench waits for a new connection with the whole thread. */
function reconnect(
  { programs, files }: Stage,
  { port }: ServerProcess,
  { clients, long }: { readonly clients: number; readonly long: readonly string[] },
) {
  const threads = ["-c", String(clients), "-j", String(clients)];
  const args = ["-n", "-C", "-f", files.nothing, ...threads, ...long];
  return runPgbench(programs.pgbench, { port, sslmode: "require" }, args);
}

const WARM_UP_CONNECTIONS = 800;
