/** pgtls: a TLS proxy for PostgreSQL. Parses the command line and ends with its exit code. */

import { main } from "./src/cli/program.ts";
import { flushLog } from "./src/observe/log.ts";

if (import.meta.main) {
  const exitCode = await main(Deno.args);
  await flushLog();
  Deno.exit(exitCode);
}
