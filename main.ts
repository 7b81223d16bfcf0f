/** pgtls: a TLS proxy for PostgreSQL. Parses the command line and ends with its exit code; or serves, as a worker. */

import { isMainThread } from "node:worker_threads";

if (!isMainThread) {
  // Started from this very module by src/workers: one executable holds both.
  (await import("./src/workers/worker.ts")).serveAsWorker();
} else if (import.meta.main) {
  const { main } = await import("./src/cli/program.ts");
  const { flushLog } = await import("./src/observe/log.ts");
  const exitCode = await main(Deno.args);
  await flushLog();
  Deno.exit(exitCode);
}
