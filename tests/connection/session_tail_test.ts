import assert from "node:assert/strict";
import fc from "fast-check";
import { SessionTail } from "../../src/connection/session_tail.ts";

const READY_IDLE = Uint8Array.of(0x5a, 0, 0, 0, 5, 0x49);
const READY_IN_TRANSACTION = Uint8Array.of(0x5a, 0, 0, 0, 5, 0x54);
const QUERY = Uint8Array.of(0x51, 0, 0, 0, 5, 0);
const TERMINATE = Uint8Array.of(0x58, 0, 0, 0, 4);

Deno.test("SessionTail is idle after ReadyForQuery I, however the bytes were cut", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 20 }), fc.integer({ min: 1, max: 26 }), (before, size) => {
    const tail = new SessionTail();
    const stream = Uint8Array.of(...before, ...READY_IDLE);
    for (let i = 0; i < stream.length; i += size) tail.fromBackend(stream.subarray(i, i + size));
    assert.equal(tail.isIdle(), true);
  }));
});

Deno.test("SessionTail is busy from the client's next bytes until the backend answers", () => {
  const tail = new SessionTail();
  tail.fromBackend(READY_IDLE);
  tail.fromClient(QUERY);
  assert.equal(tail.isIdle(), false);
  assert.equal(tail.isBetweenMessages(), true);
  tail.fromBackend(Uint8Array.of(0x43, 0, 0, 0, 6, 0x4f, 0));
  assert.equal(tail.isIdle(), false);
  assert.equal(tail.isBetweenMessages(), false);
  tail.fromBackend(READY_IDLE);
  assert.equal(tail.isIdle(), true);
});

Deno.test("SessionTail is not idle inside a transaction, but stands between messages", () => {
  const tail = new SessionTail();
  tail.fromBackend(READY_IN_TRANSACTION);
  assert.equal(tail.isIdle(), false);
  assert.equal(tail.isBetweenMessages(), true);
});

Deno.test("SessionTail is neither before the first byte", () => {
  const tail = new SessionTail();
  assert.equal(tail.isIdle(), false);
  assert.equal(tail.isBetweenMessages(), false);
});

Deno.test("SessionTail knows Terminate at the end of what the client sent", () => {
  const tail = new SessionTail();
  tail.fromClient(Uint8Array.of(...QUERY, ...TERMINATE));
  assert.equal(tail.hasTerminated(), true);
  tail.fromClient(QUERY);
  assert.equal(tail.hasTerminated(), false);
});
