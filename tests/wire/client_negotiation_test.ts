import assert from "node:assert/strict";
import fc from "fast-check";
import { ClientNegotiation } from "../../src/wire/client_negotiation.ts";
import type { StartupPacket } from "../../src/wire/startup_packet.ts";
import {
  bytesOf,
  CANCEL_REQUEST,
  eventsOf,
  GSSENC_REQUEST,
  oneByOne,
  packetOf,
  PROTOCOL_3_0,
  SSL_REQUEST,
  STARTUP_MESSAGE,
} from "./bytes.ts";

type Tls = "required" | "optional" | "off";

const SEND_S = { kind: "send", bytes: bytesOf("S") };
const SEND_N = { kind: "send", bytes: bytesOf("N") };
const REQUESTED_TLS = { kind: "tls", how: "requested" };
const CLEAN_EOF = { kind: "eof", clean: true };
const VIOLATION = "ProtocolError 08P01";
const REPEATED = "ProtocolError 0A000";

const STARTUP_PACKET: StartupPacket = {
  kind: "startup_message",
  protocolMajor: 3,
  protocolMinor: 0,
  parameters: new Map([["user", "alice"], ["database", "orders"]]),
  bytes: STARTUP_MESSAGE,
};
const CANCEL_PACKET: StartupPacket = {
  kind: "cancel_request",
  processId: 4711,
  secretKey: bytesOf("\xde\xad\xbe\xef"),
  bytes: CANCEL_REQUEST,
};
const CANCEL = { kind: "cancel_request", packet: CANCEL_PACKET };
const STARTUP = { kind: "startup_message", packet: STARTUP_PACKET };
const REFUSED_PLAINTEXT = { kind: "refuse_plaintext", packet: STARTUP_PACKET };

/** What a client says in turn, each part after the answer to the one before; then it ends its stream. */
const DIALOGUES: readonly [name: string, tls: Tls, parts: Uint8Array[], events: unknown[]][] = [
  ["SSLRequest when TLS is required", "required", [SSL_REQUEST], [SEND_S, REQUESTED_TLS, CLEAN_EOF]],
  ["SSLRequest when TLS is optional", "optional", [SSL_REQUEST], [SEND_S, REQUESTED_TLS, CLEAN_EOF]],
  ["SSLRequest when TLS is off", "off", [SSL_REQUEST], [SEND_N, CLEAN_EOF]],
  ["SSLRequest, then StartupMessage, when TLS is off", "off", [SSL_REQUEST, STARTUP_MESSAGE], [
    SEND_N,
    STARTUP,
    CLEAN_EOF,
  ]],
  ["GSSENCRequest, then SSLRequest", "required", [GSSENC_REQUEST, SSL_REQUEST], [
    SEND_N,
    SEND_S,
    REQUESTED_TLS,
    CLEAN_EOF,
  ]],
  ["GSSENCRequest, SSLRequest, StartupMessage when TLS is off", "off", [
    GSSENC_REQUEST,
    SSL_REQUEST,
    STARTUP_MESSAGE,
  ], [
    SEND_N,
    SEND_N,
    STARTUP,
    CLEAN_EOF,
  ]],
  ["SSLRequest, GSSENCRequest, StartupMessage when TLS is off", "off", [
    SSL_REQUEST,
    GSSENC_REQUEST,
    STARTUP_MESSAGE,
  ], [
    SEND_N,
    SEND_N,
    STARTUP,
    CLEAN_EOF,
  ]],
  ["GSSENCRequest, then StartupMessage when TLS is required", "required", [GSSENC_REQUEST, STARTUP_MESSAGE], [
    SEND_N,
    REFUSED_PLAINTEXT,
    CLEAN_EOF,
  ]],
  ["StartupMessage when TLS is required", "required", [STARTUP_MESSAGE], [REFUSED_PLAINTEXT, CLEAN_EOF]],
  ["StartupMessage when TLS is optional", "optional", [STARTUP_MESSAGE], [STARTUP, CLEAN_EOF]],
  ["StartupMessage when TLS is off", "off", [STARTUP_MESSAGE], [STARTUP, CLEAN_EOF]],
  ["CancelRequest when TLS is required", "required", [CANCEL_REQUEST], [CANCEL, CLEAN_EOF]],
  ["CancelRequest after GSSENCRequest", "required", [GSSENC_REQUEST, CANCEL_REQUEST], [
    SEND_N,
    CANCEL,
    CLEAN_EOF,
  ]],
  ["CancelRequest and bytes behind it", "off", [CANCEL_REQUEST, STARTUP_MESSAGE], [CANCEL, CLEAN_EOF]],
  ["SSLRequest twice when TLS is off", "off", [SSL_REQUEST, SSL_REQUEST], [SEND_N, REPEATED]],
  ["GSSENCRequest twice", "required", [GSSENC_REQUEST, GSSENC_REQUEST], [SEND_N, REPEATED]],
  ["GSSENCRequest twice around SSLRequest", "off", [GSSENC_REQUEST, SSL_REQUEST, GSSENC_REQUEST], [
    SEND_N,
    SEND_N,
    REPEATED,
  ]],
  ["SSLRequest twice around GSSENCRequest", "off", [SSL_REQUEST, GSSENC_REQUEST, SSL_REQUEST], [
    SEND_N,
    SEND_N,
    REPEATED,
  ]],
  ["anything in clear after SSLRequest was granted", "required", [SSL_REQUEST, STARTUP_MESSAGE], [
    SEND_S,
    REQUESTED_TLS,
    VIOLATION,
  ]],
  ["a ClientHello when TLS is off", "off", [bytesOf("\x16\x03\x01")], [VIOLATION]],
  ["a ClientHello after GSSENCRequest", "required", [GSSENC_REQUEST, bytesOf("\x16\x03\x01")], [
    SEND_N,
    VIOLATION,
  ]],
  ["a ClientHello after SSLRequest when TLS is off", "off", [SSL_REQUEST, bytesOf("\x16")], [
    SEND_N,
    VIOLATION,
  ]],
  ["HTTP", "required", [bytesOf("GET / HTTP/1.1\r\n\r\n")], [VIOLATION]],
  ["protocol 2.0", "off", [packetOf("\x00\x02\x00\x00")], ["ProtocolError 0A000"]],
  ["StartupMessage without user", "required", [packetOf(PROTOCOL_3_0, "\0")], ["ProtocolError 28000"]],
  ["nothing", "required", [], [CLEAN_EOF]],
  ["half a length word", "required", [bytesOf(0, 0)], [{ kind: "eof", clean: false }]],
  ["half a StartupMessage", "off", [STARTUP_MESSAGE.subarray(0, 20)], [{ kind: "eof", clean: false }]],
];

for (const [name, tls, parts, events] of DIALOGUES) {
  Deno.test(`ClientNegotiation answers ${name}`, () => {
    assert.deepEqual(eventsOf(new ClientNegotiation({ tls }), parts), events);
  });

  Deno.test(`ClientNegotiation answers ${name}, one byte at a time`, () => {
    const bytes = oneByOne(bytesOf(...parts));
    assert.deepEqual(eventsOf(new ClientNegotiation({ tls }), bytes), events);
  });
}

/** Unencrypted bytes that stand behind a request before its answer (CVE-2021-23214). */
const STUFFED: readonly [name: string, tls: Tls, bytes: Uint8Array][] = [
  ["a StartupMessage behind SSLRequest", "required", bytesOf(SSL_REQUEST, STARTUP_MESSAGE)],
  ["one byte behind SSLRequest", "optional", bytesOf(SSL_REQUEST, 0)],
  ["a ClientHello behind SSLRequest", "required", bytesOf(SSL_REQUEST, "\x16\x03\x01")],
  ["a StartupMessage behind SSLRequest when TLS is off", "off", bytesOf(SSL_REQUEST, STARTUP_MESSAGE)],
  ["SSLRequest behind GSSENCRequest", "required", bytesOf(GSSENC_REQUEST, SSL_REQUEST)],
  ["GSSENCRequest behind SSLRequest", "off", bytesOf(SSL_REQUEST, GSSENC_REQUEST)],
  ["a StartupMessage behind GSSENCRequest", "optional", bytesOf(GSSENC_REQUEST, STARTUP_MESSAGE)],
  ["10,005 bytes behind SSLRequest", "required", bytesOf(SSL_REQUEST, new Uint8Array(10_005))],
];

for (const [name, tls, bytes] of STUFFED) {
  Deno.test(`ClientNegotiation refuses ${name} in one chunk`, () => {
    assert.deepEqual(eventsOf(new ClientNegotiation({ tls }), [bytes]), [VIOLATION]);
  });

  Deno.test(`ClientNegotiation refuses ${name} in many chunks before the first next()`, () => {
    const machine = new ClientNegotiation({ tls });
    for (const byte of oneByOne(bytes)) machine.receive(byte);
    assert.throws(() => machine.next(), { name: "ProtocolError", sqlstate: "08P01" });
    assert.throws(() => machine.next(), { name: "ProtocolError", sqlstate: "08P01" });
  });
}

Deno.test("ClientNegotiation refuses bytes that come between S and the start of TLS", () => {
  const machine = new ClientNegotiation({ tls: "required" });
  machine.receive(SSL_REQUEST);
  assert.deepEqual(machine.next(), SEND_S);
  machine.receive(bytesOf(0));
  assert.throws(() => machine.next(), { name: "ProtocolError", sqlstate: "08P01" });
});

for (const tls of ["required", "optional"] as const) {
  Deno.test(`ClientNegotiation starts direct TLS with what was read when TLS is ${tls}`, () => {
    const hello = bytesOf("\x16\x03\x01\x00\x05hello");
    const machine = new ClientNegotiation({ tls });
    for (const byte of oneByOne(hello)) machine.receive(byte);
    assert.deepEqual(machine.next(), { kind: "tls", how: "direct", prefix: hello });
    assert.equal(machine.next(), null);
  });
}

Deno.test("ClientNegotiation keeps the bytes behind a StartupMessage in clear", () => {
  const machine = new ClientNegotiation({ tls: "off" });
  machine.receive(bytesOf(STARTUP_MESSAGE, "more"));
  assert.deepEqual(machine.next(), STARTUP);
  assert.equal(machine.next(), null);
  assert.deepEqual(machine.takeRest(), bytesOf("more"));
});

Deno.test("ClientNegotiation drops the bytes behind a CancelRequest", () => {
  const machine = new ClientNegotiation({ tls: "required" });
  machine.receive(bytesOf(CANCEL_REQUEST, "more"));
  assert.deepEqual(machine.next(), CANCEL);
  assert.equal(machine.buffered, 0);
  assert.deepEqual(machine.takeRest(), bytesOf());
});

Deno.test("ClientNegotiation reports the end of the stream once", () => {
  const machine = new ClientNegotiation({ tls: "required" });
  machine.eof();
  machine.eof();
  assert.deepEqual(machine.next(), CLEAN_EOF);
  assert.equal(machine.next(), null);
});

Deno.test("ClientNegotiation ends with events or a ProtocolError for any bytes in any chunks", () => {
  const known = fc.constantFrom(SSL_REQUEST, GSSENC_REQUEST, CANCEL_REQUEST, STARTUP_MESSAGE, bytesOf(0x16));
  const chunks = fc.array(
    fc.oneof(known, fc.uint8Array({ maxLength: 12 }), fc.uint8Array({ maxLength: 12_000 })),
    {
      maxLength: 12,
    },
  );
  const tlsModes = fc.constantFrom<Tls>("required", "optional", "off");
  fc.assert(fc.property(tlsModes, chunks, (tls, parts) => {
    const machine = new BoundedNegotiation({ tls });
    // Throws whatever is not a ProtocolError.
    const events = eventsOf(machine, parts);
    assert.ok(events.length <= 4, `gave ${events.length} events`);
    assert.ok(machine.mostBuffered <= 10_004, `held ${machine.mostBuffered} bytes`);
  }));
});

Deno.test("ClientNegotiation gives the same events however a single packet is cut", () => {
  const packets = fc.oneof(
    fc.constantFrom(SSL_REQUEST, GSSENC_REQUEST, CANCEL_REQUEST, STARTUP_MESSAGE),
    fc.uint8Array({ maxLength: 40 }).map((body) => packetOf(PROTOCOL_3_0, body)),
    fc.uint8Array({ minLength: 1, maxLength: 8 }).filter((bytes) => bytes[0] !== 0x16),
  );
  fc.assert(fc.property(packets, fc.array(fc.nat(60), { maxLength: 5 }), (bytes, cuts) => {
    const edges = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
    const parts = edges.slice(1).map((edge, index) => bytes.subarray(edges[index], edge));
    const whole = eventsOf(new ClientNegotiation({ tls: "optional" }), [bytes]);
    assert.deepEqual(eventsOf(new ClientNegotiation({ tls: "optional" }), parts), whole);
  }));
});

/** Notes the most bytes it ever held. */
class BoundedNegotiation extends ClientNegotiation {
  mostBuffered = 0;

  override receive(bytes: Uint8Array): void {
    super.receive(bytes);
    this.mostBuffered = Math.max(this.mostBuffered, this.buffered);
  }
}
