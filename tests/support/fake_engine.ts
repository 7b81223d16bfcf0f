/** An engine that can be told to collect, for the test process itself. */
import process from "node:process";

/**
 * Takes the place of V8's `gc` in a process that does nothing, whatever else runs in it, and counts who waits for a moment
 * to collect.
 */
export function fakeEngine() {
  const outside = globalThis as { gc?: (options: unknown) => void };
  const { gc } = outside;
  const { setInterval } = globalThis;
  const { cpuUsage } = process;
  const { promise: collected, resolve } = Promise.withResolvers<void>();
  const engine = {
    collected,
    asked: [] as unknown[],
    waiting: 0,
    set isMissing(_: true) {
      outside.gc = undefined!;
    },
    [Symbol.dispose]() {
      Object.assign(globalThis, { gc, setInterval });
      process.cpuUsage = cpuUsage;
    },
  };
  outside.gc = (options) => {
    engine.asked.push(options);
    resolve();
  };
  process.cpuUsage = () => ({ user: 0, system: 0 });
  globalThis.setInterval = ((callback: () => void, ms: number) => {
    engine.waiting++;
    return setInterval(callback, ms);
  }) as typeof setInterval;
  return engine;
}
