/** What workers run. */

/**
 * From source a module of their own: Deno looks at everything that a module could load before it runs it, and `main.ts`
 * could load all there is. A bundle is one file, which sees that it is a worker; so does an executable of whatever was
 * compiled, which holds what its own module imports and perhaps not this one's neighbour.
 */
export function workerModule(): string {
  const isSource = !Deno.build.standalone && import.meta.url.endsWith("/src/workers/worker_module.ts");
  return isSource ? import.meta.resolve("./main.ts") : Deno.mainModule;
}
