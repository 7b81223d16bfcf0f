/** The command line of pgtls, run as a user runs it: a process of its own. */
import { fileURLToPath } from "node:url";
import { run, type RunResult, startProcess, type TestProcess } from "./process.ts";

/** Runs `pgtls ARGS` to its end. */
export function pgtls(...args: readonly string[]): Promise<RunResult> {
  return run(Deno.execPath(), [...DENO_ARGS, ...args], { env: ENVIRONMENT });
}

/** Starts `pgtls ARGS` and leaves it running. */
export function startPgtls(...args: readonly string[]): TestProcess {
  return startProcess(Deno.execPath(), [...DENO_ARGS, ...args], { env: ENVIRONMENT });
}

/** The command line of pgtls, for a test that starts it in a way of its own. */
export function pgtlsCommand(...args: readonly string[]): { command: string; args: string[] } {
  return { command: Deno.execPath(), args: [...DENO_ARGS, ...args] };
}

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
const DENO_ARGS = ["run", "--quiet", "--no-prompt", "-A", MAIN];
const ENVIRONMENT = { NO_COLOR: "1" };
