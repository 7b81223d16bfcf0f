import assert from "node:assert/strict";
import { Feed } from "../../src/observe/feed.ts";
import { lifeOf } from "./events_support.ts";

Deno.test("Feed hands on each event as the JSON log has it, with time and level", () => {
  const messages = messagesOf(lifeOf("c-1"), "debug");
  assert.deepEqual(messages.map(({ event }) => event).slice(-2), ["session.opened", "connection.closed"]);
  const closed = messages.at(-1)!;
  assert.equal(closed.level, "info");
  assert.match(String(closed.time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.equal(closed.bytes_from_client, 100);
  const tls = closed.client_tls as Record<string, unknown>;
  assert.match(String(tls.client_cert_sha256), /^[0-9a-f]{64}$/);
  assert.ok(!("client_cert_chain" in tls));
});

Deno.test("Feed leaves out what is quieter than asked for", () => {
  assert.deepEqual(messagesOf(lifeOf("c-1"), "info").map(({ event }) => event), ["connection.closed"]);
});

Deno.test("Feed escapes and cuts what clients have written", () => {
  const feed = new Feed();
  const seen: string[] = [];
  feed.listen((message) => seen.push(message), "debug");
  for (const event of lifeOf("c-1", { user: `\u2028\u202e</script>${"x".repeat(9_000)}` })) {
    feed.observe(event);
  }
  for (const message of seen) {
    assert.doesNotMatch(message, /[\u2028\u202e\n]/);
    assert.ok(message.length < 3_000);
  }
  assert.ok(seen.some((message) => message.includes("\\u2028\\u202e</script>")));
});

Deno.test("Feed renders nothing while nobody listens, nor after the last has stopped", () => {
  const feed = new Feed();
  const stop = feed.listen(() => assert.fail("stopped"), "debug");
  stop();
  for (const event of lifeOf("c-1")) feed.observe(trap(event));
});

function messagesOf(events: ReturnType<typeof lifeOf>, level: "debug" | "info"): Record<string, unknown>[] {
  const feed = new Feed();
  const seen: string[] = [];
  feed.listen((message) => seen.push(message), level);
  for (const event of events) feed.observe(event);
  return seen.map((message) => JSON.parse(message));
}

/** An event whose fields nobody may read. */
function trap<Event extends object>(event: Event): Event {
  return new Proxy(event, {
    get(_target, name) {
      throw new Error(`read ${String(name)}`);
    },
  });
}
