import assert from "node:assert/strict";
import { eventually } from "../support/closing_lines.ts";
import type { PgtlsEvent } from "../../src/observe/events.ts";
import { Isolate } from "../../src/workers/isolate.ts";
import type { Place } from "../../src/workers/messages.ts";
import { Seat } from "../../src/workers/seat.ts";
import { isolateModule } from "./isolate_support.ts";

Deno.test("Seat takes every batch of events, in order, and notes that it has", async () => {
  await using stage = open(`
    const event = (name) => ({ event: name, connection: name });
    post([event("one"), event("two")], 2);
    post([event("three")], 1);
    const wait = () => {
      if (cells[0] + cells[1] !== 0) return setTimeout(wait, 1);
      post([event("all taken")], 0);
    };
    wait();`);
  await eventually(stage.seen("all taken"), "the last event");
  assert.deepEqual(stage.events.map(({ event }) => event), ["one", "two", "three", "all taken"]);
});

Deno.test("Seat says how many connections a worker had not told of when it ended", async () => {
  await using stage = open(`
    Atomics.add(cells, 1, 5);
    post([{ event: "connection.accepted", connection: "c-1", route: "r", client: "127.0.0.1:1" }], 1);
    const wait = () => cells[0] === 0 ? close() : setTimeout(wait, 1);
    wait();`);
  await eventually(stage.seen("events.dropped"), "the count");
  const told = stage.events.map((event) => [event.event, "count" in event ? event.count : null]);
  assert.deepEqual(told, [
    ["connection.accepted", null],
    ["worker.failed", null],
    ["connection.closed", null],
    ["events.dropped", 5],
  ]);
});

Deno.test("Seat says nothing of the kind when a worker that ended had told of all", async () => {
  await using stage = open(`close();`);
  await eventually(stage.seen("worker.failed"), "the report");
  await eventually(stage.seen("worker.failed", 2), "the report of the next");
  assert.deepEqual(new Set(stage.events.map(({ event }) => event)), new Set(["worker.failed"]));
});

/** A seat for a worker that does as told once it is asked to start, with \`cells\`: those of its EventTally. */
function open(source: string) {
  const events: PgtlsEvent[] = [];
  const waiting = new Set<() => void>();
  const module = isolateModule(`
    let cells;
    const post = (events, begun) => {
      Atomics.add(cells, 0, 1);
      Atomics.add(cells, 1, begun);
      postMessage({ kind: "events", batch: { events, begun } });
    };
    onmessage = ({ data: { id, name, asked } }) => {
      if (name === "start") cells = new Int32Array(asked.tally);
      postMessage({ kind: "answer", id, answer: name === "apply" ? { problems: [], events: [] } : null });
      if (name === "start") { ${source} }
    };`);
  const seat = new Seat({
    place: { index: 0 } as Place,
    newIsolate: () => Promise.resolve(new Isolate(module)),
    observe: (event) => {
      events.push(event);
      for (const look of waiting) look();
    },
    parts: () => [],
    lent: () => [],
    onLent: () => {},
    onFailed: () => {},
    onHung: () => {},
  });
  const opened = seat.open().catch(() => {});
  const seen = (name: string, count = 1) =>
    new Promise<void>((resolve) => {
      const look = () => events.filter(({ event }) => event === name).length >= count && resolve();
      waiting.add(look);
      look();
    });
  return {
    events,
    seen,
    [Symbol.asyncDispose]: async () => {
      await opened;
      await seat.drain(0);
    },
  };
}
