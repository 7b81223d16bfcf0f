/**
 * Collects garbage behind a rush of sessions, once the process has nothing else to do.
 *
 * The start of an isolate leaves some megabytes lying, and the beginning of each session some kilobytes. V8 collects when
 * its heap has grown; but sessions that wait for their next query allocate nothing, so that it would all stay for as long
 * as they last. Only where the engine can be told to collect, as `deno task start` and the executable say.
 */

import process from "node:process";

/** One more session has come to rest. */
export function noteRested(): void {
  rested++;
  if (rested >= ENOUGH_RESTED) collectSoon();
}

/** Collects in this isolate as soon as the process has been idle for a while. Does not keep it alive. */
export function collectSoon(): void {
  if (collector() === undefined || timer !== null) return;
  const idle = new IdleWatch();
  timer = setInterval(() => {
    if (idle.isIdle(usedMs(), performance.now())) collect();
  }, LOOK_MS);
  Deno.unrefTimer(timer as unknown as number);
}

/** Tells `listener` of each collection from now on. */
export function onCollected(listener: () => void): void {
  told = listener;
}

/** Whether the process, all of its isolates together, has done next to nothing between two looks at its CPU time. */
export class IdleWatch {
  #usedMs = Infinity;
  #at = 0;

  /** @param usedMs CPU time of the process until now, in milliseconds; `at` as of `performance.now()`. */
  isIdle(usedMs: number, at: number): boolean {
    const [used, passed] = [usedMs - this.#usedMs, at - this.#at];
    const isFirst = this.#usedMs === Infinity;
    this.#usedMs = usedMs;
    this.#at = at;
    return !isFirst && used <= passed * IDLE_SHARE;
  }
}

function collect(): void {
  clearInterval(timer!);
  timer = null;
  rested = 0;
  // Of all kinds the only one that gives pages back. It takes 50 ms: docs/decisions/0020.
  collector()?.({ type: "major", execution: "sync", flavor: "last-resort" });
  told();
}

function usedMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

function collector(): Collector | undefined {
  return (globalThis as { gc?: Collector }).gc;
}

/** V8's own, with `--expose-gc`. */
type Collector = (options: { type: "major"; execution: "sync"; flavor: "last-resort" }) => void;

let rested = 0;
let timer: ReturnType<typeof setInterval> | null = null;
let told = (): void => {};

// In one isolate. Fewer leave less than what a collection is worth.
const ENOUGH_RESTED = 100;

const LOOK_MS = 250;

// Of one core: five new sessions a second, or two hundred queries. It also bounds how often this collects.
const IDLE_SHARE = 0.01;
