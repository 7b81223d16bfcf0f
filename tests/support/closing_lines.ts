/** What must hold of every connection's closing line, whatever the test was about. */
import assert from "node:assert/strict";
import type { ConnectionClosed, PgtlsEvent } from "../../src/observe/events.ts";
import { isEvent, type TestProxy } from "./proxy.ts";

/**
 * Waits until every connection accepted so far has closed, and returns their closing lines in order.
 * Each connection must have exactly one, as its last event, and none may be left open.
 */
export async function closingLines(proxy: TestProxy): Promise<ConnectionClosed[]> {
  const accepted = proxy.events.filter(isEvent("connection.accepted"));
  const closed = await proxy.closed(accepted.length);
  for (const { connection } of accepted) {
    const life = proxy.events.filter((event) => "connection" in event && event.connection === connection);
    assert.deepEqual(life.flatMap(positionOfClosing), [life.length - 1], `closing lines of ${connection}`);
  }
  assert.equal(closed.length, accepted.length);
  await until(() => proxy.connections() === 0, "connections to be closed");
  return closed;
}

/** The only closing line there is. */
export async function onlyClosingLine(proxy: TestProxy): Promise<ConnectionClosed> {
  await proxy.closed(1);
  const [line, ...others] = await closingLines(proxy);
  assert.ok(line !== undefined && others.length === 0, `expected one closing line, got ${others.length + 1}`);
  return line;
}

/** Waits for a condition, by looking again. */
export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + GUARD_MS;
  while (!await holds()) {
    if (performance.now() > end) throw new Error(`Waited ${GUARD_MS} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** `promise`, or an error where a test would otherwise hang. */
export async function eventually<T>(promise: Promise<T>, what: string): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`Waited ${GUARD_MS} ms for ${what}`)), GUARD_MS);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function positionOfClosing(event: PgtlsEvent, index: number): number[] {
  return event.event === "connection.closed" ? [index] : [];
}

const POLL_MS = 5;

/** Only a guard against a test that hangs. */
const GUARD_MS = 60_000;
