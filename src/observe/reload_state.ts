/** What the last load or reload of configuration and files came to. */

import type { Problem } from "../errors.ts";

/** A value, replaced whole by each attempt. */
export interface ReloadState {
  /** 1 = as started; one more with every reload that changed something. */
  readonly generation: number;
  /** The latest attempt, the start among them. */
  readonly last: {
    readonly ok: boolean;
    /** Milliseconds since 1970. */
    readonly at: number;
    /** Why not; empty when `ok`. */
    readonly problems: readonly Problem[];
  };
  /** When an attempt last succeeded; milliseconds since 1970. */
  readonly succeededAt: number;
}

/** The state of a process that has just started. */
export function freshlyLoaded(now = Date.now()): ReloadState {
  return { generation: 1, last: { ok: true, at: now, problems: [] }, succeededAt: now };
}
