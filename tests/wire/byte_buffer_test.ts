import assert from "node:assert/strict";
import fc from "fast-check";
import { ProtocolError } from "../../src/errors.ts";
import { ByteBuffer } from "../../src/wire/byte_buffer.ts";
import { bytesOf } from "./bytes.ts";

Deno.test("ByteBuffer gives back what was appended, in order", () => {
  const buffer = new ByteBuffer(100);
  buffer.append(bytesOf("abc"));
  buffer.append(bytesOf("defg"));
  assert.equal(buffer.length, 7);
  assert.deepEqual(buffer.peek(2), bytesOf("ab"));
  assert.deepEqual(buffer.take(4), bytesOf("abcd"));
  assert.deepEqual(buffer.peek(99), bytesOf("efg"));
  assert.deepEqual(buffer.takeAll(), bytesOf("efg"));
  assert.equal(buffer.length, 0);
  assert.deepEqual(buffer.takeAll(), bytesOf());
});

Deno.test("ByteBuffer refuses a byte over its limit and keeps what it had", () => {
  const buffer = new ByteBuffer(4);
  buffer.append(bytesOf("abcd"));
  assert.throws(() => buffer.append(bytesOf("e")), ProtocolError);
  assert.deepEqual(buffer.takeAll(), bytesOf("abcd"));
  buffer.append(bytesOf("efgh"));
  assert.throws(() => new ByteBuffer(4).append(bytesOf("abcde")), ProtocolError);
});

Deno.test("ByteBuffer refuses to give more than it has", () => {
  const buffer = new ByteBuffer(4);
  buffer.append(bytesOf("ab"));
  assert.throws(() => buffer.take(3), RangeError);
  assert.deepEqual(buffer.takeAll(), bytesOf("ab"));
});

Deno.test("ByteBuffer keeps its bytes when the caller reuses the chunk or the result", () => {
  const buffer = new ByteBuffer(10);
  const chunk = bytesOf("ab");
  buffer.append(chunk);
  chunk.fill(0);
  const taken = buffer.take(1);
  buffer.append(bytesOf("c"));
  taken.fill(0);
  assert.equal(taken.buffer.byteLength, 1);
  assert.deepEqual(buffer.takeAll(), bytesOf("bc"));
});

Deno.test("ByteBuffer behaves as an array of bytes when appended and taken from in any order", () => {
  const limit = 700;
  const steps = fc.array(fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.nat(300)), { maxLength: 60 });
  fc.assert(fc.property(steps, (sequence) => {
    const buffer = new ByteBuffer(limit);
    let model: number[] = [];
    for (const step of sequence) {
      if (typeof step === "number") {
        const count = Math.min(step, model.length);
        assert.deepEqual([...buffer.take(count)], model.slice(0, count));
        model = model.slice(count);
      } else if (model.length + step.length > limit) {
        assert.throws(() => buffer.append(step), ProtocolError);
      } else {
        buffer.append(step);
        model.push(...step);
      }
      assert.deepEqual([...buffer.peek(limit)], model);
    }
  }));
});

Deno.test("ByteBuffer copies a byte a bounded number of times when fed one by one", () => {
  const original = Uint8Array.prototype.set;
  let copied = 0;
  Uint8Array.prototype.set = function (source: ArrayLike<number>, offset?: number) {
    copied += source.length;
    original.call(this, source, offset);
  };
  try {
    const buffer = new ByteBuffer(10_000);
    for (let index = 0; index < 10_000; index++) buffer.append(Uint8Array.of(index));
    // A full buffer that slides: one byte out, one byte in.
    for (let index = 0; index < 10_000; index++) {
      buffer.take(1);
      buffer.append(Uint8Array.of(index));
    }
  } finally {
    Uint8Array.prototype.set = original;
  }
  assert.ok(copied < 5 * 20_000, `copied ${copied} bytes`);
});
