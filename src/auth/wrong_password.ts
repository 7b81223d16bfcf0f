/** The one answer to a login that fails, whatever the reason is. */

import { type CloseReason, StageError } from "../errors.ts";

/** Options of {@linkcode wrongPassword}. */
export interface Refusal {
  /** @default "auth_failed" */
  readonly reason?: CloseReason;
  /** For the log only. */
  readonly why: string;
  readonly cause?: unknown;
}

/** What PostgreSQL says of a wrong password. The client learns no more; the log learns why. */
export function wrongPassword(user: string, { reason = "auth_failed", why, cause }: Refusal): StageError {
  return new StageError(reason, `Could not log in user "${user}": ${why}`, {
    cause,
    answer: { sqlstate: "28P01", message: `password authentication failed for user "${user}"` },
  });
}
