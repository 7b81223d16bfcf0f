import assert from "node:assert/strict";
import { currentBuffer, giveBack, leaveCurrentBuffer } from "../../src/connection/read_buffers.ts";

Deno.test("giveBack() lets a buffer be used again, once however often it is called", () => {
  const left = currentBuffer();
  leaveCurrentBuffer();
  const other = currentBuffer();
  assert.notEqual(other.buffer, left.buffer);
  giveBack(left.subarray(10, 20));
  giveBack(left.subarray(20, 30));
  leaveCurrentBuffer();
  assert.equal(currentBuffer(), left);
  leaveCurrentBuffer();
  assert.notEqual(currentBuffer().buffer, left.buffer);
  assert.notEqual(currentBuffer().buffer, other.buffer);
});

Deno.test("giveBack() takes no buffer that was never left", () => {
  const current = currentBuffer();
  giveBack(current);
  giveBack(new Uint8Array(current.length));
  leaveCurrentBuffer();
  assert.notEqual(currentBuffer().buffer, current.buffer);
});

Deno.test("buffers that come back are the ones used next, however many writes go on", () => {
  const seen = new Set<ArrayBuffer>();
  for (let i = 0; i < 1_000; i++) {
    const left = currentBuffer();
    leaveCurrentBuffer();
    seen.add(currentBuffer().buffer);
    giveBack(left);
  }
  assert.ok(seen.size <= 3, `${seen.size} buffers`);
});
