import assert from "node:assert/strict";
import { eventually } from "../support/closing_lines.ts";
import type { PgtlsEvent } from "../../src/observe/events.ts";
import { type EventBatch, EventSender } from "../../src/workers/event_sender.ts";
import { EventTally } from "../../src/workers/event_tally.ts";

Deno.test("EventSender sends events in batches and in order", async () => {
  const { sender, batches, sent, take, first } = open();
  for (let i = 0; i < 3; i++) sender.observe(accepted(`c-${i}`));
  assert.equal(batches.length, 0);
  await eventually(first, "the first batch");
  assert.deepEqual(sent().map(idOf), ["c-0", "c-1", "c-2"]);
  for (let i = 3; i < 10_000; i++) {
    sender.observe(accepted(`c-${i}`));
    take();
  }
  sender.flush();
  assert.deepEqual(sent().map(idOf), Array.from({ length: 10_000 }, (_, i) => `c-${i}`));
  assert.ok(batches.length < 20, `${batches.length} batches: events go together`);
});

Deno.test("EventSender sends nothing while nobody listens, and then all there is", async () => {
  const { sender, batches, sent, first } = open({ isHeard: false });
  for (let i = 0; i < 3_000; i++) sender.observe(accepted(`c-${i}`));
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(batches.length, 0);
  const tally = new EventTally();
  sender.start(tally);
  await eventually(first, "the first batch");
  assert.equal(sent().length, 3_000);
  assert.deepEqual([tally.untold, batches[0]!.begun], [3_000, 3_000]);
});

Deno.test("EventSender runs only so far ahead of what is taken, and goes on when it is", async () => {
  const { sender, batches, sent, take } = open();
  const count = 9_000;
  for (let i = 0; i < count; i++) sender.observe(accepted(`c-${i}`));
  const ahead = batches.length;
  assert.ok(ahead < 10 && sent().length < count, `${ahead} batches under way`);
  // Longer than it waits for anything but that.
  await new Promise((resolve) => setTimeout(resolve, 150));
  assert.equal(batches.length, ahead);
  take();
  const end = Promise.withResolvers<void>();
  const look = setInterval(() => batches.length > ahead && end.resolve(), 1);
  await eventually(end.promise, "one batch more").finally(() => clearInterval(look));
  assert.equal(batches.length, ahead + 1);
  sender.flush();
  assert.equal(sent().length, count);
});

Deno.test("EventSender leaves connections out whole when nobody takes any, and says how many", () => {
  const { sender, sent, tally, take } = open();
  const count = 100_000;
  for (let i = 0; i < count; i++) sender.observe(accepted(`c-${i}`));
  for (let i = 0; i < count; i++) sender.observe(closed(`c-${i}`));
  assert.equal(tally.untold, count);
  sender.flush();
  take();
  const all = sent();
  const begun = new Set(all.filter(({ event }) => event === "connection.accepted").map(idOf));
  const ended = new Set(all.filter(({ event }) => event === "connection.closed").map(idOf));
  assert.deepEqual(begun, ended);
  assert.ok(begun.size < 20_000, `${begun.size} were kept`);
  const dropped = all.filter((event) => event.event === "events.dropped");
  assert.equal(dropped.reduce((sum, event) => sum + event.count, 0), count - begun.size);
  assert.equal(tally.untold, 0, "what was left out has been told as such");
});

Deno.test("EventTally of both sides is the same: what was begun and not taken is untold", () => {
  const { sender, tally, take } = open();
  for (let i = 0; i < 5; i++) sender.observe(accepted(`c-${i}`));
  for (let i = 0; i < 5; i++) sender.observe(closed(`c-${i}`));
  assert.deepEqual([tally.untold, tally.underWay], [5, 0]);
  sender.flush();
  assert.deepEqual([tally.untold, tally.underWay], [5, 1]);
  take();
  assert.deepEqual([tally.untold, tally.underWay], [0, 0]);
});

function open({ isHeard = true } = {}) {
  const batches: EventBatch[] = [];
  const first = Promise.withResolvers<void>();
  const tally = new EventTally();
  const sender = new EventSender((batch) => {
    batches.push(batch);
    first.resolve();
  });
  if (isHeard) sender.start(tally);
  let taken = 0;
  const take = () => {
    for (; taken < batches.length; taken++) tally.take(batches[taken]!.begun);
  };
  const sent = () => batches.flatMap(({ events }) => events);
  return { sender, tally, batches, sent, take, first: first.promise };
}

function accepted(connection: string): PgtlsEvent {
  return { event: "connection.accepted", connection, route: "r", client: "127.0.0.1:1" };
}

function closed(connection: string): PgtlsEvent {
  return { ...accepted(connection), event: "connection.closed" } as PgtlsEvent;
}

function idOf(event: PgtlsEvent): string {
  return "connection" in event ? event.connection : "";
}
