/** dist/pgtls.js as `deno task bundle` makes it, built once a test file, and run as a process of its own. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run, type RunOptions, startProcess, type TestProcess } from "./process.ts";

/** A built bundle. Dispose of it with `await using`. */
export interface Bundle extends AsyncDisposable {
  readonly file: string;
  /** Runs it with these flags of Deno, away from any deno.json or node_modules. */
  start(flags: readonly string[], args: readonly string[], options?: RunOptions): TestProcess;
}

/** Builds the bundle into a folder of its own. */
export async function buildBundle(): Promise<Bundle> {
  const dir = await Deno.makeTempDir({ prefix: "pgtls-bundle-" });
  const file = join(dir, "pgtls.js");
  const { tasks } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
  // The task's own words for this file, with another place for the result.
  const command = tasks.bundle.command.split(" && ").find((part: string) => part.includes(" dist/pgtls.js "));
  const [, ...words] = command.replace("dist/pgtls.js", file).split(" ");
  const built = await run(Deno.execPath(), words, { cwd: ROOT });
  if (built.code !== 0) throw new Error(`Could not build the bundle: ${built.stderr}`);
  return {
    file,
    start: (flags, args, options = {}) =>
      startProcess(
        Deno.execPath(),
        ["run", "--quiet", "--no-prompt", "--no-config", ...flags, file, ...args],
        { ...options, cwd: dir, env: { NO_COLOR: "1", ...options.env } },
      ),
    [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }),
  };
}

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
