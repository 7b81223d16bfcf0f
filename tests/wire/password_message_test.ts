import assert from "node:assert/strict";
import fc from "fast-check";
import { ProtocolError } from "../../src/errors.ts";
import { decodeMessage, encodeMessage } from "../../src/wire/message.ts";
import {
  decodePasswordMessage,
  decodeSaslInitialResponse,
  decodeSaslResponse,
  encodePasswordMessage,
  encodeSaslInitialResponse,
  encodeSaslResponse,
} from "../../src/wire/password_message.ts";
import { bytesOf } from "./bytes.ts";

Deno.test("decodeSaslInitialResponse() reads mechanism and data, and tells no data from empty data", () => {
  const cases = [
    ["X\0\0\0\0\x03n,,", { mechanism: "X", data: bytesOf("n,,") }],
    ["X\0\0\0\0\0", { mechanism: "X", data: bytesOf("") }],
    ["X\0\xff\xff\xff\xff", { mechanism: "X", data: null }],
  ] as const;
  for (const [body, expected] of cases) assert.deepEqual(decodeSaslInitialResponse(p(body)), expected);
});

Deno.test("decodeSaslInitialResponse() refuses whatever is not laid out to its last byte", () => {
  const bodies = [
    "",
    "X",
    "X\0",
    "X\0\0\0\0",
    "\0\0\0\0\0",
    "X\0\0\0\0\x04n,,",
    "X\0\0\0\0\x02n,,",
    "X\0\xff\xff\xff\xffa",
  ];
  for (const body of [...bodies, "X\0\xff\xff\xff\xfe", "X\0\x7f\xff\xff\xffn"]) {
    assert.throws(() => decodeSaslInitialResponse(p(body)), ProtocolError, JSON.stringify(body));
  }
});

Deno.test("decodePasswordMessage() takes one string, and no NUL inside it", () => {
  assert.deepEqual(decodePasswordMessage(p("p\xe4ss\0")), bytesOf("p\xe4ss"));
  assert.deepEqual(decodePasswordMessage(p("\0")), bytesOf(""));
  for (const body of ["", "secret", "sec\0ret\0", "secret\0\0"]) {
    assert.throws(() => decodePasswordMessage(p(body)), ProtocolError, JSON.stringify(body));
  }
});

Deno.test("A message of another type is no answer to an authentication request", () => {
  const query = decodeMessage(encodeMessage("Q", bytesOf("SELECT 1\0")));
  for (const decode of [decodeSaslInitialResponse, decodeSaslResponse, decodePasswordMessage]) {
    assert.throws(() => decode(query), /expected (SASL|password) response, got message type 81/);
  }
});

Deno.test("What is encoded decodes to the same, whatever the data", () => {
  fc.assert(fc.property(fc.uint8Array(), (data) => {
    assert.deepEqual(decodeSaslResponse(decodeMessage(encodeSaslResponse(data))), data);
    const initial = decodeMessage(encodeSaslInitialResponse("SCRAM-SHA-256", data));
    assert.deepEqual(decodeSaslInitialResponse(initial), { mechanism: "SCRAM-SHA-256", data });
    const password = data.map((byte) => byte || 1);
    assert.deepEqual(decodePasswordMessage(decodeMessage(encodePasswordMessage(password))), password);
  }));
});

function p(body: string) {
  return decodeMessage(encodeMessage("p", bytesOf(body)));
}
