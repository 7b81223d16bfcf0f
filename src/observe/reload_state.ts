/** What the last load or reload of configuration and files came to. */

import type { Problem } from "../errors.ts";

/** Why a part of the configuration goes on with what it had. */
export interface ReloadProblem extends Problem {
  /** The file that cannot be used; `null` where it is not about a file. */
  readonly file: string | null;
}

/** A value, replaced whole by each attempt. */
export interface ReloadState {
  /** 1 = as started; one more with every reload that changed something. */
  readonly generation: number;
  /** The latest attempt, the start among them. */
  readonly last: {
    /** Whether everything that is asked for is in use. */
    readonly ok: boolean;
    /** Milliseconds since 1970. A look at files that have not changed is no attempt. */
    readonly at: number;
    /** Why not; empty when `ok`. */
    readonly problems: readonly ReloadProblem[];
  };
  /** When an attempt last succeeded; milliseconds since 1970. */
  readonly succeededAt: number;
}

/** The state of a process that has just started. */
export function freshlyLoaded(now = Date.now()): ReloadState {
  return { generation: 1, last: { ok: true, at: now, problems: [] }, succeededAt: now };
}
