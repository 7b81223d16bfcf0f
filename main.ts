/** pgtls: a TLS proxy for PostgreSQL. Parses the command line and ends with its exit code. */

import { main } from "./src/cli/program.ts";

if (import.meta.main) Deno.exit(await main(Deno.args));
