import assert from "node:assert/strict";
import fc from "fast-check";
import { ProtocolError } from "../../src/errors.ts";
import {
  decodeMessage,
  encodeMessage,
  HEAD_BYTES,
  isOneMessage,
  messageBytes,
  readUint32,
  uint32,
} from "../../src/wire/message.ts";
import { bytesOf } from "./bytes.ts";

Deno.test("messageBytes() tells the size as soon as five bytes are there", () => {
  const message = bytesOf("N\0\0\0\x07abc");
  for (let length = 0; length < HEAD_BYTES; length++) {
    assert.equal(messageBytes(message.subarray(0, length), 10), null);
  }
  assert.equal(messageBytes(message.subarray(0, HEAD_BYTES), 10), message.length);
  assert.equal(messageBytes(bytesOf("Z\0\0\0\x04"), 0), HEAD_BYTES);
});

Deno.test("messageBytes() refuses a length that is impossible or over the limit", () => {
  for (const head of ["N\0\0\0\x03", "N\0\0\0\0", "N\0\0\0\x0f", "N\xff\xff\xff\xff", "N\x80\0\0\0"]) {
    assert.throws(() => messageBytes(bytesOf(head), 10), ProtocolError);
  }
  assert.equal(messageBytes(bytesOf("N\0\0\0\x0e"), 10), 15);
});

Deno.test("isOneMessage() is true of exactly one message within the limit", () => {
  const message = bytesOf("N\0\0\0\x07abc");
  assert.equal(isOneMessage(message, 3), true);
  assert.equal(isOneMessage(message, 2), false);
  assert.equal(isOneMessage(bytesOf(message, "x"), 100), false);
  for (let length = 0; length < message.length; length++) {
    assert.equal(isOneMessage(message.subarray(0, length), 100), false);
  }
  for (const head of ["N\0\0\0\x03", "N\0\0\0\0", "N\xff\xff\xff\xff"]) {
    assert.equal(isOneMessage(bytesOf(head), 100), false);
  }
  // What stands around it in memory does not count.
  assert.equal(isOneMessage(bytesOf("xx", message, "xx").subarray(2, 10), 100), true);
});

Deno.test("encodeMessage() and decodeMessage() are inverse, whatever the body", () => {
  fc.assert(fc.property(fc.constantFrom("R", "p", "E"), fc.array(fc.uint8Array()), (type, parts) => {
    const bytes = encodeMessage(type, ...parts);
    assert.equal(messageBytes(bytes, bytes.length), bytes.length);
    assert.deepEqual(decodeMessage(bytes), { type, body: bytesOf(...parts), bytes });
  }));
});

Deno.test("uint32() and readUint32() are inverse, and big-endian", () => {
  assert.deepEqual(uint32(0x80010203), bytesOf("\x80\x01\x02\x03"));
  fc.assert(fc.property(fc.nat(0xffffffff), (value) => {
    assert.equal(readUint32(bytesOf("x", uint32(value)), 1), value);
  }));
});
