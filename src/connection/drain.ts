/** Ends every connection of a server that has stopped accepting, each as gently as the time left allows. */

import { StageError } from "../errors.ts";
import type { Progress } from "./progress.ts";

/** What a drain needs to know of a connection. */
export type Draining = Pick<Progress, "activity" | "hasSession" | "isIdle" | "stop" | "destroy">;

/**
 * Waits for connections to end, and ends those that nothing would be interrupted by.
 *
 * A session between two transactions, or a client that has not begun one, is ended once it has been silent for
 * {@linkcode QUIET_MS}: one that is never silent for so long (a busy pool, a client about to send its first query)
 * goes on working. In the second half of the time one moment between two transactions is enough: better there than
 * inside one, at the end. After `timeoutMs` whatever is left is ended, and a moment later destroyed.
 *
 * @param connections Those that are open; each leaves the set by itself.
 * @returns How many connections the timeout cut.
 */
export async function drainConnections(
  connections: ReadonlySet<Draining>,
  timeoutMs: number,
): Promise<number> {
  const watched = new Map<Draining, Watched>();
  // A client that has been told may still take a moment to hang up: that is no cut.
  const told = new Set<Draining>();
  const start = performance.now();
  const end = start + timeoutMs;
  while (connections.size > 0 && performance.now() < end) {
    const isLate = performance.now() > start + timeoutMs / 2;
    for (const connection of connections) {
      const quietMs = silence(watched, connection);
      if (connection.isIdle && (isLate || quietMs >= QUIET_MS)) {
        stop(connection);
        told.add(connection);
      }
    }
    await sleep(Math.min(POLL_MS, timeoutMs));
  }
  const cut = [...connections].filter((connection) => !told.has(connection)).length;
  for (const connection of connections) stop(connection);
  await until(() => connections.size === 0, LAST_WORDS_MS, POLL_MS);
  for (const connection of connections) connection.destroy();
  // Each writes its closing line as soon as it has noticed.
  await until(() => connections.size === 0, NOTICE_MS, 1);
  return cut;
}

/** What was last seen of a connection, and when it was seen first. */
interface Watched {
  readonly activity: number;
  readonly since: number;
}

/** For how long nothing has moved on the connection, in milliseconds, as far as this drain has watched. */
function silence(watched: Map<Draining, Watched>, connection: Draining): number {
  const { activity } = connection;
  const last = watched.get(connection);
  if (last?.activity === activity) return performance.now() - last.since;
  watched.set(connection, { activity, since: performance.now() });
  return 0;
}

function stop(connection: Draining): void {
  connection.stop(connection.hasSession ? ENDED : TURNED_AWAY);
}

async function until(holds: () => boolean, timeoutMs: number, pollMs: number): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!holds() && performance.now() < end) await sleep(pollMs);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Sessions: 57P01, as PostgreSQL ends them itself. */
const ENDED = new StageError("server_draining", "pgtls is shutting down");

/** Who has no session yet gets 57P03: with it libpq goes on to the next of its hosts. */
const TURNED_AWAY = new StageError("server_draining", "pgtls is shutting down", {
  answer: { sqlstate: "57P03", message: "pgtls is shutting down" },
});

/** Longer than a client on the same continent takes from one answer to its next query, short for a person waiting. */
const QUIET_MS = 500;

// Idle is looked for this often: quick for people, nothing for the machine.
const POLL_MS = 50;

// After the timeout, as long as clients get to read why.
const LAST_WORDS_MS = 1_000;

// A destroyed socket is noticed in the next turn of the event loop; this is for thousands of them.
const NOTICE_MS = 500;
