/** What workers run. */

/**
 * From source a module of their own: Deno looks at everything that a module could load before it runs it, and `main.ts`
 * could load all there is. A bundle is one file, which sees that it is a worker.
 */
export function workerModule(): string {
  const isSource = import.meta.url.endsWith("/src/workers/worker_module.ts");
  return isSource ? import.meta.resolve("./main.ts") : Deno.mainModule;
}
