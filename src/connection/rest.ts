/** Lets sessions that last do without the objects that only their beginning and their end need. */

import { noteRested } from "./collect.ts";

/** What can rest. */
export interface Resting {
  /** Rests if it can; returns whether there is no need to ask again. */
  rest(): boolean;
}

/**
 * Asks `session` to rest in a moment, and again until it has: most sessions of a pool live for hours and do nothing,
 * and those of a script that connects for each query should not pay for it. Does not keep the process alive.
 */
export function restLater(session: Resting): void {
  waiting.add(session);
  timer ??= startLooking();
}

/** Asks no more: the session has ended. */
export function restNever(session: Resting): void {
  waiting.delete(session);
  due.delete(session);
  stopLooking();
}

function startLooking(): ReturnType<typeof setInterval> {
  const timer = setInterval(lookForResting, INTERVAL_MS);
  Deno.unrefTimer(timer as unknown as number);
  return timer;
}

/** Those that have come since the last look wait for the next one, so that each has lived for a while. */
function lookForResting(): void {
  for (const session of due) {
    if (!session.rest()) continue;
    due.delete(session);
    noteRested();
  }
  for (const session of waiting) due.add(session);
  waiting.clear();
  stopLooking();
}

/** Unless somebody waits. */
function stopLooking(): void {
  if (timer === null || waiting.size + due.size > 0) return;
  clearInterval(timer);
  timer = null;
}

/** Since the last look, and before it. */
const waiting = new Set<Resting>();
const due = new Set<Resting>();

let timer: ReturnType<typeof setInterval> | null = null;

const INTERVAL_MS = 50;
