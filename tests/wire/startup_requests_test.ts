import assert from "node:assert/strict";
import fc from "fast-check";
import { ByteBuffer } from "../../src/wire/byte_buffer.ts";
import { decodeStartupPacket } from "../../src/wire/startup_packet.ts";
import { encodeCancelRequest, encodeSslRequest } from "../../src/wire/startup_requests.ts";
import { bytesOf, CANCEL_REQUEST, SSL_REQUEST } from "./bytes.ts";

Deno.test("encodeSslRequest gives the 8 bytes of PostgreSQL", () => {
  assert.deepEqual(encodeSslRequest(), SSL_REQUEST);
});

Deno.test("encodeCancelRequest gives the 16 bytes of PostgreSQL for a key of 4 bytes", () => {
  assert.deepEqual(
    encodeCancelRequest({ processId: 4711, secretKey: bytesOf("\xde\xad\xbe\xef") }),
    CANCEL_REQUEST,
  );
});

Deno.test("encodeCancelRequest refuses a key that is too short or too long", () => {
  for (const length of [0, 3, 257]) {
    assert.throws(() => encodeCancelRequest({ processId: 1, secretKey: new Uint8Array(length) }), RangeError);
  }
});

Deno.test("encodeCancelRequest gives what decodeStartupPacket reads", () => {
  const processIds = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  fc.assert(
    fc.property(processIds, fc.uint8Array({ minLength: 4, maxLength: 256 }), (processId, secretKey) => {
      const bytes = encodeCancelRequest({ processId, secretKey });
      const buffer = new ByteBuffer(bytes.length);
      buffer.append(bytes);
      assert.deepEqual(decodeStartupPacket(buffer), { kind: "cancel_request", processId, secretKey, bytes });
    }),
  );
});
