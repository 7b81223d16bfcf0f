/** What every command does with errors, and how it talks to the terminal. */

import { ConfigError } from "../errors.ts";
import { printable } from "../printable.ts";

/** Exit codes: 0 ok, 1 failed, 2 bad configuration or usage. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const;

/** Prints an error for the operator on standard error and returns the exit code it stands for. */
export function reportError(error: unknown): number {
  if (error instanceof ConfigError) {
    console.error(printable(error.message));
    return EXIT.usage;
  }
  console.error(printable(error instanceof Error ? error.message : String(error)));
  return EXIT.failed;
}
