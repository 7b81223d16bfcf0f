import assert from "node:assert/strict";
import fc from "fast-check";
import { ProtocolError } from "../../src/errors.ts";
import { ByteBuffer } from "../../src/wire/byte_buffer.ts";
import {
  decodeStartupPacket,
  MAX_STARTUP_PACKET_BYTES,
  type StartupPacket,
} from "../../src/wire/startup_packet.ts";
import {
  bytesOf,
  CANCEL_CODE,
  CANCEL_REQUEST,
  GSSENC_REQUEST,
  oneByOne,
  packetOf,
  PROTOCOL_3_0,
  SSL_REQUEST,
  STARTUP_MESSAGE,
} from "./bytes.ts";

const LONGEST_KEY = new Uint8Array(256).fill(0xa5);

const ACCEPTED: readonly [name: string, bytes: Uint8Array, packet: StartupPacket][] = [
  ["SSLRequest", SSL_REQUEST, { kind: "ssl_request" }],
  ["GSSENCRequest", GSSENC_REQUEST, { kind: "gssenc_request" }],
  ["CancelRequest with a key of 4 bytes", CANCEL_REQUEST, {
    kind: "cancel_request",
    processId: 4711,
    secretKey: bytesOf("\xde\xad\xbe\xef"),
    bytes: CANCEL_REQUEST,
  }],
  ["CancelRequest with a key of 256 bytes", packetOf(CANCEL_CODE, "\xff\xff\xff\xfe", LONGEST_KEY), {
    kind: "cancel_request",
    processId: -2,
    secretKey: LONGEST_KEY,
    bytes: packetOf(CANCEL_CODE, "\xff\xff\xff\xfe", LONGEST_KEY),
  }],
  [
    "StartupMessage 3.0",
    STARTUP_MESSAGE,
    startupMessage(STARTUP_MESSAGE, 0, { user: "alice", database: "orders" }),
  ],
  ...([
    ["without database", "\x00\x03\x00\x00", "user\0alice\0\0", { user: "alice" }],
    ["3.2 with an empty value", "\x00\x03\x00\x02", "user\0alice\0options\0\0\0", {
      user: "alice",
      options: "",
    }],
    ["3.9999, libpq's grease", "\x00\x03\x27\x0f", "user\0a\0_pq_.x\0y\0\0", { user: "a", "_pq_.x": "y" }],
    ["with UTF-8", "\x00\x03\x00\x00", "user\0j\xc3\xbcrgen\0\0", { user: "jürgen" }],
    ["with Latin-1", "\x00\x03\x00\x00", "user\0j\xfcrgen\0\0", { user: "j\ufffdrgen" }],
    ["with a leading U+FEFF", "\x00\x03\x00\x00", "user\0\xef\xbb\xbfalice\0\0", { user: "\ufeffalice" }],
    ["with names that are not plain objects' own", "\x00\x03\x00\x00", "user\0a\0__proto__\0b\0\0", {
      user: "a",
      ["__proto__"]: "b",
    }],
  ] as const).map(([name, version, body, parameters]): [string, Uint8Array, StartupPacket] => {
    const bytes = packetOf(version, body);
    return [`StartupMessage ${name}`, bytes, startupMessage(bytes, bytes[6]! * 256 + bytes[7]!, parameters)];
  }),
];

/** Bytes, the SQLSTATE, and after how many bytes at the latest it must be refused. */
const REFUSED: readonly [name: string, bytes: Uint8Array, sqlstate: string, after: number][] = [
  ["HTTP", bytesOf("GET / HTTP/1.1\r\n"), "08P01", 1],
  ["a ClientHello", bytesOf("\x16\x03\x01\x02\x00"), "08P01", 1],
  ["length 10,005", bytesOf("\x00\x00\x27\x15", PROTOCOL_3_0), "08P01", 4],
  ["length 0", bytesOf("\x00\x00\x00\x00"), "08P01", 4],
  ["length 7", bytesOf("\x00\x00\x00\x07", PROTOCOL_3_0), "08P01", 4],
  ["length 0xffffffff", bytesOf("\xff\xff\xff\xff"), "08P01", 1],
  ["SSLRequest of 9 bytes", bytesOf("\x00\x00\x00\x09\x04\xd2\x16\x2f\x00"), "08P01", 8],
  ["GSSENCRequest of 9 bytes", bytesOf("\x00\x00\x00\x09\x04\xd2\x16\x30\x00"), "08P01", 8],
  ["CancelRequest without key", packetOf(CANCEL_CODE, "\x00\x00\x00\x01"), "08P01", 8],
  ["CancelRequest with a key of 3 bytes", packetOf(CANCEL_CODE, "\x00\x00\x00\x01abc"), "08P01", 8],
  [
    "CancelRequest with a key of 257 bytes",
    packetOf(CANCEL_CODE, "\x00\x00\x00\x01", LONGEST_KEY, 0),
    "08P01",
    8,
  ],
  ["protocol 2.0", packetOf("\x00\x02\x00\x00", new Uint8Array(288)), "0A000", 8],
  ["protocol 4.0", packetOf("\x00\x04\x00\x00", "user\0alice\0\0"), "0A000", 8],
  ["request code 1234.5681", packetOf("\x04\xd2\x16\x31"), "0A000", 8],
  ["no body", packetOf(PROTOCOL_3_0), "08P01", 8],
  ["no terminator", packetOf(PROTOCOL_3_0, "user\0alice\0"), "08P01", 19],
  ["a value without NUL", packetOf(PROTOCOL_3_0, "user\0alice"), "08P01", 18],
  ["an odd number of strings", packetOf(PROTOCOL_3_0, "user\0alice\0database\0\0"), "08P01", 29],
  ["a name alone", packetOf(PROTOCOL_3_0, "user\0\0"), "08P01", 14],
  ["a byte behind the terminator", packetOf(PROTOCOL_3_0, "user\0alice\0\0x"), "08P01", 21],
  ["two terminators", packetOf(PROTOCOL_3_0, "user\0alice\0\0\0"), "08P01", 21],
  ["no parameters", packetOf(PROTOCOL_3_0, "\0"), "28000", 9],
  ["no user", packetOf(PROTOCOL_3_0, "database\0orders\0\0"), "28000", 25],
  ["an empty user", packetOf(PROTOCOL_3_0, "user\0\0\0"), "28000", 15],
  ["a User with a capital", packetOf(PROTOCOL_3_0, "User\0alice\0\0"), "28000", 20],
  ["two users", packetOf(PROTOCOL_3_0, "user\0alice\0user\0root\0\0"), "08P01", 30],
  ["the same user twice", packetOf(PROTOCOL_3_0, "user\0alice\0user\0alice\0\0"), "08P01", 31],
  ["another parameter twice", packetOf(PROTOCOL_3_0, "user\0a\0x\0\x31\0x\0\x32\0\0"), "08P01", 24],
  [
    "names that differ only in bytes that are not UTF-8",
    packetOf(PROTOCOL_3_0, "user\0a\0\xfe\0\0\xff\0\0\0"),
    "08P01",
    22,
  ],
];

for (const [name, bytes, packet] of ACCEPTED) {
  Deno.test(`decodeStartupPacket reads ${name}`, () => {
    const buffer = new ByteBuffer(MAX_STARTUP_PACKET_BYTES);
    buffer.append(bytes);
    buffer.append(bytesOf("rest"));
    assert.deepEqual(decodeStartupPacket(buffer), packet);
    assert.deepEqual(buffer.takeAll(), bytesOf("rest"));
  });

  Deno.test(`decodeStartupPacket takes nothing before the last byte of ${name}`, () => {
    const buffer = new ByteBuffer(MAX_STARTUP_PACKET_BYTES);
    for (const byte of oneByOne(bytes.subarray(0, -1))) {
      buffer.append(byte);
      assert.equal(decodeStartupPacket(buffer), null);
    }
    assert.equal(buffer.length, bytes.length - 1);
    buffer.append(bytes.subarray(-1));
    assert.deepEqual(decodeStartupPacket(buffer), packet);
  });
}

for (const [name, bytes, sqlstate, after] of REFUSED) {
  Deno.test(`decodeStartupPacket refuses ${name}`, () => {
    const buffer = new ByteBuffer(MAX_STARTUP_PACKET_BYTES);
    buffer.append(bytes);
    assert.throws(() => decodeStartupPacket(buffer), { name: "ProtocolError", sqlstate });
  });

  Deno.test(`decodeStartupPacket refuses ${name} at byte ${after}`, () => {
    const buffer = new ByteBuffer(MAX_STARTUP_PACKET_BYTES);
    for (const byte of oneByOne(bytes.subarray(0, after - 1))) {
      buffer.append(byte);
      assert.equal(decodeStartupPacket(buffer), null);
    }
    buffer.append(bytes.subarray(after - 1, after));
    assert.throws(() => decodeStartupPacket(buffer), { name: "ProtocolError", sqlstate });
  });
}

Deno.test("decodeStartupPacket reads a StartupMessage of 10,004 bytes", () => {
  const bytes = packetOf(PROTOCOL_3_0, "user\0", "u".repeat(10_004 - 8 - 5 - 2), "\0\0");
  assert.equal(bytes.length, 10_004);
  const buffer = new ByteBuffer(MAX_STARTUP_PACKET_BYTES);
  buffer.append(bytes);
  assert.equal(decodeStartupPacket(buffer)?.kind, "startup_message");
});

Deno.test("decodeStartupPacket reads back any parameters that PostgreSQL allows", () => {
  const text = fc.string({ unit: "binary", maxLength: 20 }).filter((value) => !value.includes("\0"));
  const parameters = fc.dictionary(text.filter((name) => name !== ""), text, { maxKeys: 20 });
  fc.assert(fc.property(parameters, text, (others, userSuffix) => {
    const expected = { ...others, user: `u${userSuffix}` };
    const body = Object.entries(expected).map(([name, value]) => `${name}\0${value}\0`).join("");
    const bytes = packetOf(PROTOCOL_3_0, new TextEncoder().encode(body), 0);
    const buffer = new ByteBuffer(MAX_STARTUP_PACKET_BYTES);
    buffer.append(bytes);
    assert.deepEqual(decodeStartupPacket(buffer), startupMessage(bytes, 0, expected));
  }));
});

Deno.test("decodeStartupPacket gives a packet, null or a ProtocolError for any bytes", () => {
  const anyBody = fc.uint8Array({ maxLength: 300 });
  const bodyOfStrings = fc.stringMatching(/^[user\0\xff]{0,40}$/).map((text) => bytesOf(text));
  const code = fc.constantFrom(PROTOCOL_3_0, CANCEL_CODE, "\x04\xd2\x16\x2f", "\x00\x02\x00\x00");
  const packets = fc.tuple(code, fc.oneof(anyBody, bodyOfStrings)).map(([head, body]) =>
    packetOf(head, body)
  );
  fc.assert(fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), packets), (bytes) => {
    const buffer = new ByteBuffer(MAX_STARTUP_PACKET_BYTES);
    buffer.append(bytes);
    try {
      if (decodeStartupPacket(buffer) === null) assert.equal(buffer.length, bytes.length);
    } catch (error) {
      assert.ok(error instanceof ProtocolError, String(error));
    }
  }));
});

function startupMessage(
  bytes: Uint8Array,
  protocolMinor: number,
  parameters: Record<string, string>,
): StartupPacket {
  return {
    kind: "startup_message",
    protocolMajor: 3,
    protocolMinor,
    parameters: new Map(Object.entries(parameters)),
    bytes,
  };
}
