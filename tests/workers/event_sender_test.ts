import assert from "node:assert/strict";
import type { PgtlsEvent } from "../../src/observe/events.ts";
import { EventSender } from "../../src/workers/event_sender.ts";

Deno.test("EventSender sends events in batches and in order", async () => {
  const { sender, batches, sent } = open();
  for (let i = 0; i < 3; i++) sender.observe(accepted(`c-${i}`));
  assert.equal(batches.length, 0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(batches.length, 1);
  for (let i = 3; i < 1_000; i++) {
    sender.observe(accepted(`c-${i}`));
    if (batches.length > 2) sender.taken();
  }
  sender.flush();
  assert.deepEqual(sent().map(idOf), Array.from({ length: 1_000 }, (_, i) => `c-${i}`));
});

Deno.test("EventSender runs only so far ahead of what is taken, and goes on when it is", () => {
  const { sender, batches } = open();
  for (let i = 0; i < 5_000; i++) sender.observe(accepted(`c-${i}`));
  const ahead = batches.length;
  assert.ok(ahead < 10, `${ahead} batches under way`);
  sender.taken();
  assert.equal(batches.length, ahead + 1);
  sender.flush();
});

Deno.test("EventSender leaves connections out whole when nobody takes any, and says how many", () => {
  const { sender, sent } = open();
  const count = 100_000;
  for (let i = 0; i < count; i++) sender.observe(accepted(`c-${i}`));
  for (let i = 0; i < count; i++) sender.observe(closed(`c-${i}`));
  for (let i = 0; i < 1_000; i++) sender.taken();
  sender.flush();
  const all = sent();
  const begun = new Set(all.filter(({ event }) => event === "connection.accepted").map(idOf));
  const ended = new Set(all.filter(({ event }) => event === "connection.closed").map(idOf));
  assert.deepEqual(begun, ended);
  assert.ok(begun.size < 20_000, `${begun.size} were kept`);
  const dropped = all.filter((event) => event.event === "events.dropped");
  assert.equal(dropped.reduce((sum, event) => sum + event.count, 0), count - begun.size);
});

function open() {
  const batches: (readonly PgtlsEvent[])[] = [];
  const sender = new EventSender((events) => batches.push(events));
  return { sender, batches, sent: () => batches.flat() };
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
