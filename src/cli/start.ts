/**
 * The command line's first look: `[run] -c FILE`, which is how pgtls is mostly started, and which has to be quick, is
 * recognized here; everything else is for `program.ts`.
 */

import { EarlyIsolates } from "../workers/early_isolates.ts";
import { poolSize } from "../workers/pool_size.ts";
import { workerModule } from "../workers/worker_module.ts";

/**
 * Runs the command in `given` (without the program's own name), also if it stands behind a `--`.
 *
 * @returns The exit code.
 */
export async function start(given: readonly string[]): Promise<number> {
  // Who has learnt it from `npm run` writes it, and Deno passes it on.
  const args = given[0] === "--" ? given.slice(1) : given;
  const config = configOfRun(args);
  if (config === null) return await (await import("./program.ts")).main(args);
  // Before anything that takes time to load: workers do not need it, and load what they need beside.
  const isolates = new EarlyIsolates(glanceAtWorkers(config), workerModule());
  const { runProxy } = await import("./run.ts");
  return await runProxy({ config, workers: { isolates } });
}

/** The configuration file of `[run] -c FILE`; `null` for any other command line. */
export function configOfRun(args: readonly string[]): string | null {
  const [option, file, ...others] = args[0] === "run" ? args.slice(1) : args;
  const isConfig = option === "-c" || option === "--config";
  return isConfig && file !== undefined && !file.startsWith("-") && others.length === 0 ? file : null;
}

/**
 * How many workers a configuration asks for, by a glance at its text: a guess, which the configuration, once it has
 * been read and checked, need not confirm.
 *
 * @returns 0 = none, or nothing can be said.
 */
export function glanceAtWorkers(file: string): number {
  try {
    const { isFile, size: bytes } = Deno.statSync(file);
    // What else there is may be read only once, or has no end.
    if (!isFile || bytes > LIMIT_BYTES) return 0;
    const [top = ""] = Deno.readTextFileSync(file).split(/^\s*\[/m, 1);
    const [, given = "auto"] = WORKERS.exec(top) ?? [];
    const size = poolSize(given === "auto" ? given : Number(given));
    return size > 1 ? size : 0;
  } catch {
    return 0;
  }
}

/** As people write it; another spelling of the same is read as `auto`. */
const WORKERS = /^\s*workers\s*=\s*"?(auto|[0-9]{1,2})"?\s*(?:#.*)?$/m;

// Far above any configuration, and what `config/load.ts` takes.
const LIMIT_BYTES = 1024 * 1024;
