/** What can be used but needs attention, as the event it is told as. */

import type { Problem } from "../errors.ts";
import type { PgtlsEvent } from "./events.ts";

/** What runs out soon has an event of its own, for alerts to go by. */
export function warningEvent({ kind, ...problem }: Problem): PgtlsEvent {
  return { event: kind === "expiring" ? "tls.expiring" : "config.warning", problem };
}
