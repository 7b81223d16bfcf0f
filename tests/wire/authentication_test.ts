import assert from "node:assert/strict";
import fc from "fast-check";
import { ProtocolError } from "../../src/errors.ts";
import { decodeAuthentication, encodeAuthentication } from "../../src/wire/authentication.ts";
import { decodeMessage, encodeMessage } from "../../src/wire/message.ts";
import { bytesOf } from "./bytes.ts";

const CASES: readonly [bytes: string, request: ReturnType<typeof decodeAuthentication>][] = [
  ["R\0\0\0\x08\0\0\0\0", { kind: "ok" }],
  ["R\0\0\0\x08\0\0\0\x03", { kind: "cleartext_password" }],
  ["R\0\0\0\x0c\0\0\0\x05\x01\x02\x03\x04", { kind: "md5_password", salt: bytesOf(1, 2, 3, 4) }],
  ["R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0", { kind: "sasl", mechanisms: ["SCRAM-SHA-256"] }],
  ["R\0\0\0\x0d\0\0\0\x0aA\0B\0\0", { kind: "sasl", mechanisms: ["A", "B"] }],
  ["R\0\0\0\x0b\0\0\0\x0br=1", { kind: "sasl_continue", data: bytesOf("r=1") }],
  ["R\0\0\0\x0b\0\0\0\x0cv=1", { kind: "sasl_final", data: bytesOf("v=1") }],
];

Deno.test("decodeAuthentication() reads every request, and encodeAuthentication() writes the same bytes", () => {
  for (const [text, request] of CASES) {
    assert.deepEqual(decodeAuthentication(decodeMessage(bytesOf(text))), request);
    assert.deepEqual(
      encodeAuthentication(request as Parameters<typeof encodeAuthentication>[0]),
      bytesOf(text),
    );
  }
});

Deno.test("decodeAuthentication() reads an offer of nothing, and names a code it does not know", () => {
  assert.deepEqual(decode("\0\0\0\x0a\0"), { kind: "sasl", mechanisms: [] });
  assert.deepEqual(decode("\0\0\0\x07"), { kind: "other", code: 7 });
  assert.deepEqual(decode("\xff\0\0\0junk"), { kind: "other", code: 0xff000000 });
});

Deno.test("decodeAuthentication() refuses a body that does not fit its code", () => {
  const broken = ["", "\0\0\0", "\0\0\0\0x", "\0\0\0\x03x", "\0\0\0\x05abc", "\0\0\0\x05abcde"];
  const offers = ["", "A", "A\0", "A\0B", "A\0B\0", "\0\0", "A\0\0\0", "\0A\0\0"].map((rest) =>
    `\0\0\0\x0a${rest}`
  );
  for (const body of [...broken, ...offers]) {
    assert.throws(() => decode(body), ProtocolError, JSON.stringify(body));
  }
});

Deno.test("decodeAuthentication() answers anything at all with a request or a ProtocolError", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 0, max: 13 }), (rest, code) => {
    for (const body of [rest, bytesOf(0, 0, 0, code, rest)]) {
      try {
        assert.ok(decodeAuthentication(decodeMessage(encodeMessage("R", body))).kind);
      } catch (error) {
        assert.ok(error instanceof ProtocolError);
      }
    }
  }));
});

function decode(body: string) {
  return decodeAuthentication(decodeMessage(encodeMessage("R", bytesOf(body))));
}
