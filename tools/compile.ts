/**
 * `deno task compile`: builds the one executable, dist/pgtls.
 *
 * Deno puts the program behind a base binary (denort) that it fetches from its own server the first time. Where that
 * server cannot be reached, DENORT_BIN names a local copy; this tool says so instead of leaving a stack trace.
 */

const bundle = "dist/pgtls.js";
const output = "dist/pgtls";
const denort = Deno.env.get("DENORT_BIN");
const withoutDenort =
  `Could not build ${output}: if Deno's base binary could not be downloaded, fetch the denort archive of
Deno ${Deno.version.deno} for this platform elsewhere, unpack it, and set DENORT_BIN to the path of "denort".
Without an executable, "deno task bundle" makes dist/pgtls.js, which any Deno ${Deno.version.deno} runs.`;

// From the bundle: compiling main.ts itself would put all of node_modules into the executable, 80 MB of it for the demo.
await run(["task", "bundle"]);
const { success, stderr } = await run([
  "compile",
  "--no-config",
  "--no-prompt",
  ...permissions(),
  ...["--output", output],
  ...Deno.args,
  bundle,
]);
const messages = new TextDecoder().decode(stderr);
if (success) {
  console.log(`Built ${output}`);
} else {
  console.error(messages.split("\nStack backtrace")[0]);
  console.error(denort === undefined ? withoutDenort : `DENORT_BIN is "${denort}".`);
  Deno.exit(1);
}

/** What `run`, `check`, `inspect` and `certs` need. Not --allow-run: a proxy on a server starts no programs. */
function permissions(): string[] {
  return ["--allow-net", "--allow-read", "--allow-write", "--allow-env", "--allow-sys"];
}

function run(args: string[]): Promise<Deno.CommandOutput> {
  return new Deno.Command(Deno.execPath(), { args, stdout: "inherit", stderr: "piped" }).output();
}
