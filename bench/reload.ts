/** What new connections notice of a reload of a hundred routes. */

import { ClientProgram } from "./client_program.ts";
import { PGTLS } from "./contestants.ts";
import type { Contestant, Figure } from "./figure.ts";
import { HundredRoutes, ROUTES, type RoutesOptions } from "./hundred_routes.ts";
import { sleep } from "./process.ts";
import { BUNDLE_SIZE, type Stage } from "./stage.ts";

/** What `workers` says. */
export const WORKERS = [1, "auto"] as const;

/** Logins a second: some two thirds of what the machine of docs/performance.md has are left for the reload. */
const RATE = 100;

/** What a contestant is called. */
export function named(workers: number | "auto", isReloaded: boolean): string {
  return `${PGTLS}, workers = ${workers}, ${isReloaded ? "reloaded" : "left alone"}`;
}

/**
 * Logins at a steady rate around reloads that find every file of every route replaced, once with SIGHUP and once with `POST /reload`; next
 * to the same logins through the same process without it. What follows a reload is in it: by and by pgtls notices that
 * files have changed, and looks at all of them once more.
 */
export const reload = reloadFigure("reload", { hasBundles: false });

/** The same, where the CA of each route's clients is the last of a bundle of its own. */
export const reloadOfBundles = reloadFigure("reload_bundles", { hasBundles: true });

function reloadFigure(name: string, options: Pick<RoutesOptions, "hasBundles">): Figure {
  const cas = options.hasBundles ? `bundles of ${BUNDLE_SIZE + 1} client CAs for each` : "CAs";
  return {
    name,
    title:
      `Reload of ${ROUTES} routes, all certificates, keys and ${cas} new, under ${RATE} logins a second: ` +
      "TLS client leg, plaintext backend, admin server on",
    metrics: [
      { key: "logins", title: "logins", digits: 0 },
      { key: "p50", title: "p50, ms", digits: 1 },
      { key: "p99", title: "p99, ms", digits: 1 },
      { key: "longest", title: "longest, ms", digits: 1 },
    ],
    comparisons: WORKERS.flatMap((workers) =>
      ["p99", "longest"].map((metric) => ({ of: named(workers, true), to: named(workers, false), metric }))
    ),
    open: (stage, stack) => open(stage, stack, options),
  };
}

async function open(
  stage: Stage,
  stack: AsyncDisposableStack,
  options: Pick<RoutesOptions, "hasBundles">,
): Promise<readonly Contestant[]> {
  const contestants: Contestant[] = [];
  for (const workers of WORKERS) {
    const server = stack.use(await HundredRoutes.start(stage, { workers, ...options }));
    const reloads = [() => server.hangUp(), () => server.postReload()];
    contestants.push(
      { name: named(workers, false), measure: () => measure(server, reloads.map(() => () => {})) },
      { name: named(workers, true), measure: () => measureReloads(server, reloads) },
    );
  }
  return contestants;
}

/** @throws {Error} If not each of them has brought something new into use. */
async function measureReloads(
  server: HundredRoutes,
  reloads: readonly Action[],
): Promise<Record<string, number>> {
  const before = await server.generation();
  const measured = await measure(
    server,
    reloads,
    () => server.renew(),
  );
  const after = await server.generation();
  if (after - before === reloads.length) return measured;
  throw new Error(`Could not measure reloads: ${after - before} of ${reloads.length} have changed something`);
}

/** One window of time for each action, which begins with it; `prepare` comes before each. */
async function measure(
  server: HundredRoutes,
  actions: readonly Action[],
  prepare: Action = () => {},
): Promise<Record<string, number>> {
  await using clients = new ClientProgram("./steady_clients.ts", [RATE, ...server.ports]);
  const logins: Login[] = [];
  const reading = readLogins(clients, logins);
  await sleep(WARM_UP_MS);
  const windows: Window[] = [];
  for (const action of actions) {
    await prepare();
    await sleep(CALM_MS);
    const from = now();
    await Promise.all([action(), sleep(WINDOW_MS)]);
    windows.push({ from, to: now() });
  }
  // Those that are under way.
  await sleep(STRAGGLERS_MS);
  await clients[Symbol.asyncDispose]();
  await reading;
  return summarize(logins, windows);
}

/** @throws {Error} If some have not been answered. */
function summarize(logins: readonly Login[], windows: readonly Window[]): Record<string, number> {
  const inside = logins.filter(({ dueAt }) => windows.some(({ from, to }) => from <= dueAt && dueAt < to));
  const expected = windows.reduce((sum, { from, to }) => sum + Math.floor((to - from) / 1_000 * RATE), 0);
  if (inside.length < expected) {
    throw new Error(`Could not measure reloads: ${inside.length} of ${expected} logins were answered`);
  }
  const sorted = inside.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? NaN;
  return { logins: inside.length, p50: at(0.5), p99: at(0.99), longest: sorted.at(-1) ?? NaN };
}

async function readLogins(clients: ClientProgram, logins: Login[]): Promise<void> {
  for (let line = await clients.line(); line !== null; line = await clients.line()) {
    const [dueAt = NaN, tookMs = NaN] = line.split(" ").map(Number);
    logins.push({ dueAt, tookMs });
  }
}

type Action = () => void | Promise<void>;

interface Login {
  /** Milliseconds since 1970. */
  readonly dueAt: number;
  readonly tookMs: number;
}

/** As {@linkcode now}. */
interface Window {
  readonly from: number;
  readonly to: number;
}

/** As the client program tells time. */
function now(): number {
  return performance.timeOrigin + performance.now();
}

const WARM_UP_MS = 1_500;

// What writing the files takes from others is over.
const CALM_MS = 200;

// A changed file is noticed by itself within 4 s, or 6 when it has been seen half-written.
const WINDOW_MS = 6_000;

const STRAGGLERS_MS = 1_000;
