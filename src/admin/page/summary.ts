/** The page in four numbers, and what a screen reader is told when they change. */

import { formatCount } from "./format.ts";
import { describeReason, type Tone } from "./reason_words.ts";
import type { Row } from "./rows.ts";
import type { PageState } from "./state.ts";

/** Whether a connection belongs among the refused and failed: all that did not end as it should. */
export function isTrouble(row: Row): boolean {
  return toneOf(row) !== "done";
}

/** The tone of a closed connection's reason. */
export function toneOf(row: Row): Tone {
  return describeReason(row.reason ?? "").tone;
}

/** Who a connection is, as far as it has said: `alice on orders`, or its address. */
export function whoIs({ user, database, client }: Row): string {
  return user === null ? client : `${user} on ${database ?? "?"}`;
}

/** What is worth saying aloud. */
export interface Spoken {
  readonly link: PageState["link"]["kind"];
  readonly ready: boolean | null;
  /** The newest trouble. */
  readonly latest: Row | null;
  /** How many troubles the page has ever seen. */
  readonly troubles: number;
}

/** What is worth saying aloud of a state. */
export function spokenOf(state: PageState): Spoken {
  let latest: Row | null = null;
  let troubles = state.closedBeyond;
  for (const row of state.closed.values()) {
    if (isTrouble(row)) {
      latest = row;
      troubles++;
    }
  }
  return { link: state.link.kind, ready: state.readiness?.ready ?? null, latest, troubles };
}

/** The sentences for a change, or `null` when nothing is worth an interruption. Comings and goings are not. */
export function announce(before: Spoken, after: Spoken): string | null {
  const sentences: string[] = [];
  if (after.link === "lost" && before.link !== "lost") {
    sentences.push("The connection to pgtls is lost. Trying again.");
  }
  if (after.link === "live" && before.link === "lost") sentences.push("Connected to pgtls again.");
  if (after.ready !== before.ready && after.ready !== null && before.ready !== null) {
    sentences.push(after.ready ? "pgtls is ready again." : "pgtls is not ready.");
  }
  const { latest } = after;
  const fresh = after.troubles - before.troubles;
  if (latest !== null && latest.connection !== before.latest?.connection && fresh > 0) {
    const what = describeReason(latest.reason ?? "").title;
    sentences.push(
      `${formatCount(fresh, "connection")} refused or failed. Latest: ${whoIs(latest)}: ${what}.`,
    );
  }
  return sentences.length === 0 ? null : sentences.join(" ");
}
