/**
 * `deno task compile [-- --output FILE]`: builds the one executable, dist/pgtls.
 *
 * Deno puts the program behind a base binary (denort) that it fetches from its own server the first time. Where that
 * server cannot be reached, DENORT_BIN names a local copy; this tool says so instead of leaving a stack trace.
 */

import { parseArgs } from "node:util";
import { EXECUTABLE_PERMISSIONS } from "./permissions.ts";

const { output } = parseArgs({
  args: Deno.args,
  options: { output: { type: "string", default: "dist/pgtls" } },
}).values;
// From the bundle: compiling main.ts itself would put all of node_modules into the executable, 80 MB of it for the demo.
const bundle = `${output}.js`;
const denort = Deno.env.get("DENORT_BIN");

await step(["bundle", "--quiet", "--platform", "deno", "--output", bundle, "main.ts"], "");
await step(
  // A session leaves little garbage behind, and a small nursery is memory that is not held: docs/performance.md.
  [
    "compile",
    "--no-config",
    "--no-prompt",
    "--v8-flags=--max-semi-space-size=1,--initial-old-space-size=16,--heap-growing-percent=5,--no-concurrent-recompilation,--expose-gc",
    ...EXECUTABLE_PERMISSIONS,
    "--output",
    output,
    bundle,
  ],
  denort === undefined
    ? `If Deno's base binary could not be downloaded, fetch the denort archive of Deno ${Deno.version.deno} for this platform
elsewhere, unpack it, and set DENORT_BIN to the path of "denort". Without an executable, ${bundle} runs on any
Deno ${Deno.version.deno}.`
    : `DENORT_BIN is "${denort}": expected the path of "denort" of Deno ${Deno.version.deno}.`,
);
console.log(`Built ${output}`);

/** Runs deno; if it fails, says what it said, without its stack, and what can be done. */
async function step(args: readonly string[], remedy: string): Promise<void> {
  const command = new Deno.Command(Deno.execPath(), { args: [...args], stdout: "null", stderr: "piped" });
  const { success, stderr } = await command.output();
  if (success) return;
  const said = new TextDecoder().decode(stderr).split("\nStack backtrace")[0]?.trim();
  console.error([`Could not build ${output}:`, said, remedy].filter(Boolean).join("\n"));
  Deno.exit(1);
}
