/** pgtls: a TLS proxy for PostgreSQL. Parses the command line and ends with its exit code; or serves, as a worker. */

if ("WorkerGlobalScope" in globalThis) {
  // A bundle is started from this very module by src/workers: one executable holds both.
  (await import("./src/workers/worker.ts")).serveAsWorker();
} else if (import.meta.main) {
  const { start } = await import("./src/cli/start.ts");
  Deno.exit(await start(Deno.args));
}
