/** Code that several isolates run at the same time, on memory they share. */

/** What such code is given, besides the memory. */
export interface Modules {
  readonly Attempts: typeof import("../../src/auth/attempts.ts").Attempts;
  readonly FadingCounts: typeof import("../../src/limits/fading_counts.ts").FadingCounts;
  readonly HeldCounts: typeof import("../../src/limits/held_counts.ts").HeldCounts;
  readonly Limits: typeof import("../../src/limits/limits.ts").Limits;
  readonly Places: typeof import("../../src/connection/places.ts").Places;
  readonly makeKey: typeof import("../../src/limits/keys.ts").makeKey;
}

/**
 * Runs `work` in `count` isolates, which begin together, and returns what each of them returns.
 *
 * @param work Sent as text: it sees its arguments and nothing around it.
 */
export async function inWorkers<Memory>(
  count: number,
  memory: Memory,
  work: (isolate: number, memory: Memory, modules: Modules) => number,
): Promise<number[]> {
  const start = new SharedArrayBuffer(4);
  const source = `
    const modules = {};
    for (const url of ${JSON.stringify(MODULES)}) Object.assign(modules, await import(url));
    self.onmessage = ({ data: { isolate, memory, start } }) => {
      const begun = new Int32Array(start);
      Atomics.add(begun, 0, 1);
      while (Atomics.load(begun, 0) < ${count});
      self.postMessage((${work.toString()})(isolate, memory, modules));
    };
    self.postMessage("ready");`;
  const url = `data:text/javascript,${encodeURIComponent(source)}`;
  const workers = Array.from({ length: count }, () => new Worker(url, { type: "module" }));
  try {
    await Promise.all(workers.map((worker) => answerOf(worker)));
    return await Promise.all(workers.map((worker, isolate) => {
      worker.postMessage({ isolate, memory, start });
      return answerOf(worker);
    }));
  } finally {
    for (const worker of workers) worker.terminate();
  }
}

function answerOf(worker: Worker): Promise<number> {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => reject(new Error(event.message));
  });
}

const MODULES = [
  "auth/attempts.ts",
  "limits/fading_counts.ts",
  "limits/held_counts.ts",
  "limits/keys.ts",
  "limits/limits.ts",
  "connection/places.ts",
].map((path) => new URL(`../../src/${path}`, import.meta.url).href);
