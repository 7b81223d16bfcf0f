import assert from "node:assert/strict";
import fc from "fast-check";
import { BackendNegotiation } from "../../src/wire/backend_negotiation.ts";
import { encodeErrorResponse } from "../../src/wire/error_response.ts";
import { bytesOf, eventsOf, oneByOne, SSL_REQUEST } from "./bytes.ts";

const TLS = { kind: "tls" };
const REFUSED = { kind: "refused" };
const VIOLATION = "ProtocolError 08P01";
const STARTING = encodeErrorResponse({
  severity: "FATAL",
  sqlstate: "57P03",
  message: "starting\x1b[31m up",
});

/** What a backend sends, and the events up to the end of its stream. */
const ANSWERS: readonly [name: string, bytes: Uint8Array, events: unknown[]][] = [
  ["S", bytesOf("S"), [TLS, { kind: "eof", clean: true }]],
  ["N", bytesOf("N"), [REFUSED, { kind: "eof", clean: false }]],
  ["an ErrorResponse", STARTING, [
    { kind: "error_response", fields: { severity: "FATAL", sqlstate: "57P03", message: "starting [31m up" } },
    { kind: "eof", clean: true },
  ]],
  ["half an ErrorResponse", STARTING.subarray(0, 9), [{ kind: "eof", clean: false }]],
  ["nothing", bytesOf(), [{ kind: "eof", clean: true }]],
  ["G, as if asked for GSSAPI", bytesOf("G"), [VIOLATION]],
  ["a small s", bytesOf("s"), [VIOLATION]],
  ["a TLS alert", bytesOf("\x15\x03\x03\x00\x02\x02\x28"), [VIOLATION]],
  ["an SSH banner that starts with S", bytesOf("SSH-2.0-x\r\n"), [VIOLATION]],
  ["an error of protocol 2", bytesOf("Ecould not fork new process\n\0"), [VIOLATION]],
  ["an ErrorResponse that says it has 1 MB", bytesOf("E\x00\x10\x00\x00"), [VIOLATION]],
  ["an ErrorResponse without fields", bytesOf("E\x00\x00\x00\x05\x00"), [VIOLATION]],
];

Deno.test("BackendNegotiation starts with SSLRequest", () => {
  assert.deepEqual(new BackendNegotiation().start(), SSL_REQUEST);
});

for (const [name, bytes, events] of ANSWERS) {
  Deno.test(`BackendNegotiation takes ${name}`, () => {
    assert.deepEqual(eventsOf(new BackendNegotiation(), [bytes]), events);
  });

  Deno.test(`BackendNegotiation takes ${name}, one byte at a time`, () => {
    const slow = eventsOf(new BackendNegotiation(), oneByOne(bytes));
    // Seen alone, the S is an answer; what follows it is refused all the same.
    const isStuffed = bytes[0] === 0x53 && bytes.length > 1;
    assert.deepEqual(slow, isStuffed ? [TLS, VIOLATION] : events);
  });
}

Deno.test("BackendNegotiation refuses bytes behind S (CVE-2021-23222)", () => {
  const authenticationOk = bytesOf("R\x00\x00\x00\x08\x00\x00\x00\x00");
  assert.deepEqual(eventsOf(new BackendNegotiation(), [bytesOf("S", authenticationOk)]), [VIOLATION]);
  assert.deepEqual(eventsOf(new BackendNegotiation(), [bytesOf("S\0")]), [VIOLATION]);
});

Deno.test("BackendNegotiation refuses bytes behind S that came in chunks before next()", () => {
  const machine = new BackendNegotiation();
  machine.receive(bytesOf("S"));
  machine.receive(bytesOf("R"));
  assert.throws(() => machine.next(), { name: "ProtocolError" });
  assert.throws(() => machine.next(), { name: "ProtocolError" });
});

Deno.test("BackendNegotiation waits for the whole ErrorResponse", () => {
  const machine = new BackendNegotiation();
  for (const byte of oneByOne(STARTING.subarray(0, -1))) {
    machine.receive(byte);
    assert.equal(machine.next(), null);
  }
  machine.receive(STARTING.subarray(-1));
  assert.equal(machine.next()?.kind, "error_response");
});

Deno.test("BackendNegotiation ends with at most two events or a ProtocolError for any bytes in any chunks", () => {
  const head = fc.constantFrom("", "S", "N", "E", "E\0\0\0\x20", STARTING);
  const chunks = fc.array(fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 12_000 })), {
    maxLength: 6,
  });
  fc.assert(fc.property(head, chunks, (first, parts) => {
    const machine = new BackendNegotiation();
    const events = eventsOf(machine, [bytesOf(first), ...parts]);
    assert.ok(events.length <= 2 || events.at(-1) === VIOLATION);
    assert.ok(machine.buffered <= 10_004, `held ${machine.buffered} bytes`);
  }));
});
