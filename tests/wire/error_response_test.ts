import assert from "node:assert/strict";
import fc from "fast-check";
import { ProtocolError } from "../../src/errors.ts";
import {
  decodeErrorResponse,
  encodeErrorResponse,
  errorResponseBytes,
  sanitizeErrorResponse,
} from "../../src/wire/error_response.ts";
import { bytesOf } from "./bytes.ts";

Deno.test("encodeErrorResponse gives type, length, fields and terminator", () => {
  assert.deepEqual(
    encodeErrorResponse({ severity: "FATAL", sqlstate: "28000", message: "TLS is required" }),
    bytesOf("E\x00\x00\x00\x2bSFATAL\0VFATAL\0C28000\0MTLS is required\0\0"),
  );
});

Deno.test("encodeErrorResponse gives detail and hint when there are some", () => {
  const bytes = encodeErrorResponse({
    severity: "ERROR",
    sqlstate: "08P01",
    message: "no",
    detail: "Because.",
    hint: "Try again.",
  });
  assert.deepEqual(
    bytes,
    bytesOf("E\x00\x00\x00\x34SERROR\0VERROR\0C08P01\0Mno\0DBecause.\0HTry again.\0\0"),
  );
});

Deno.test("encodeErrorResponse leaves NUL out of every text", () => {
  const bytes = encodeErrorResponse({
    severity: "FATAL",
    sqlstate: "28\u0000000",
    message: "a\0b",
    detail: "\0c",
    hint: "d\0",
  });
  const fields = { severity: "FATAL", sqlstate: "28000", message: "ab", detail: "c", hint: "d" };
  assert.deepEqual(decodeErrorResponse(bytes), fields);
});

Deno.test("decodeErrorResponse reads what encodeErrorResponse gives", () => {
  const text = fc.string({ unit: "binary", maxLength: 200 }).map((value) => value.replaceAll("\0", ""));
  const fields = fc.record(
    {
      severity: fc.constantFrom("FATAL" as const, "ERROR" as const),
      sqlstate: fc.stringMatching(/^[0-9A-Z]{5}$/),
      message: text,
      detail: text,
      hint: text,
    },
    { requiredKeys: ["severity", "sqlstate", "message"] },
  );
  fc.assert(fc.property(fields, (expected) => {
    assert.deepEqual(decodeErrorResponse(encodeErrorResponse({ ...expected })), { ...expected });
  }));
});

Deno.test("decodeErrorResponse skips fields it does not know and prefers the untranslated severity", () => {
  const bytes = errorResponse("SFATAL_DE\0VFATAL\0C57P03\0Mstarting\0Fpostmaster.c\0L2333\0?x\0Msecond\0\0");
  assert.deepEqual(decodeErrorResponse(bytes), { severity: "FATAL", sqlstate: "57P03", message: "starting" });
});

Deno.test("decodeErrorResponse reads an error of PostgreSQL before 9.6, which has no V", () => {
  const bytes = errorResponse("SFATAL\0C53300\0Mtoo many\0\0");
  assert.deepEqual(decodeErrorResponse(bytes), { severity: "FATAL", sqlstate: "53300", message: "too many" });
});

for (
  const [name, bytes] of [
    ["another message", bytesOf("N\x00\x00\x00\x0bC28000\0\0")],
    ["a length that is too short", bytesOf("E\x00\x00\x00\x04")],
    ["a length that does not fit", bytesOf("E\x00\x00\x00\x20SFATAL\0C28000\0Mx\0\0")],
    ["bytes behind it", bytesOf(errorResponse("SFATAL\0C28000\0Mx\0\0"), 0)],
    ["half of it", errorResponse("SFATAL\0C28000\0Mx\0\0").subarray(0, 12)],
    ["nothing", bytesOf()],
    ["no fields", errorResponse("\0")],
    ["no terminator", errorResponse("SFATAL\0C28000\0Mx\0")],
    ["a string without NUL", errorResponse("SFATAL\0C28000\0Mx")],
    ["an early terminator", errorResponse("SFATAL\0C28000\0Mx\0\0Dy\0\0")],
    ["no message", errorResponse("SFATAL\0C28000\0\0")],
    ["no SQLSTATE", errorResponse("SFATAL\0Mx\0\0")],
    ["no severity", errorResponse("C28000\0Mx\0\0")],
    ["an SQLSTATE of four characters", errorResponse("SFATAL\0C2800\0Mx\0\0")],
    ["an SQLSTATE with a line feed", errorResponse("SFATAL\0C28000\n\0Mx\0\0")],
    ["an error of protocol 2", bytesOf("Ecould not fork new process for connection\n\0")],
    ["more than 10,004 bytes", errorResponse(`SFATAL\0C28000\0M${"x".repeat(9_983)}\0\0`)],
  ] as const
) {
  Deno.test(`decodeErrorResponse refuses ${name}`, () => {
    assert.throws(() => decodeErrorResponse(bytes), ProtocolError);
  });
}

Deno.test("decodeErrorResponse reads 10,004 bytes", () => {
  const bytes = errorResponse(`SFATAL\0C28000\0M${"x".repeat(9_982)}\0\0`);
  assert.equal(bytes.length, 10_004);
  assert.equal(decodeErrorResponse(bytes).message.length, 9_982);
});

Deno.test("decodeErrorResponse gives fields or a ProtocolError for any bytes", () => {
  const bodies = fc.oneof(
    fc.uint8Array({ maxLength: 100 }),
    fc.stringMatching(/^[SVCM0\0]{0,40}$/).map(bytesOf),
  );
  fc.assert(fc.property(bodies, fc.boolean(), (body, hasHead) => {
    const bytes = hasHead ? bytesOf("E\x00\x00\x00", 4 + body.length, body) : body;
    try {
      decodeErrorResponse(bytes);
    } catch (error) {
      assert.ok(error instanceof ProtocolError, String(error));
    }
  }));
});

Deno.test("errorResponseBytes tells the size at the fifth byte", () => {
  const bytes = errorResponse("SFATAL\0C28000\0Mx\0\0");
  for (let length = 0; length < 5; length++) {
    assert.equal(errorResponseBytes(bytes.subarray(0, length)), null);
  }
  assert.equal(errorResponseBytes(bytes.subarray(0, 5)), bytes.length);
});

Deno.test("errorResponseBytes refuses a length that leaves no room for a terminator", () => {
  for (let length = 0; length < 5; length++) {
    assert.throws(() => errorResponseBytes(bytesOf("E\0\0\0", length)), ProtocolError);
  }
  assert.equal(errorResponseBytes(bytesOf("E\0\0\0\x05")), 6);
});

Deno.test("sanitizeErrorResponse leaves nothing that moves a cursor or hides text", () => {
  const fields = {
    severity: "FATAL\r",
    sqlstate: "28000",
    message: "a\x1b[2J\nb\x7f\x9bc\u2028d\u202ee",
    detail: "x\ty",
    hint: "é😀 ok",
  };
  assert.deepEqual(sanitizeErrorResponse(fields), {
    severity: "FATAL ",
    sqlstate: "28000",
    message: "a [2J b  c d e",
    detail: "x y",
    hint: "é😀 ok",
  });
});

Deno.test("sanitizeErrorResponse cuts a text at 1,000 characters", () => {
  const message = "x".repeat(1_001);
  const safe = sanitizeErrorResponse({ severity: "FATAL", sqlstate: "28000", message });
  assert.equal(safe.message, `${"x".repeat(999)}…`);
});

function errorResponse(body: string): Uint8Array {
  const length = 4 + body.length;
  return bytesOf("E\0\0", length >> 8, length & 0xff, body);
}
