import assert from "node:assert/strict";
import fc from "fast-check";
import { ProtocolError } from "../../src/errors.ts";
import { crc32c } from "../../src/wire/crc32c.ts";
import { decodeProxyHeader, MAX_PROXY_HEADER_BYTES } from "../../src/wire/proxy_protocol.ts";
import { tlv, v2Header } from "../support/proxy_header.ts";
import { bytesOf, STARTUP_MESSAGE } from "./bytes.ts";

type Client = { host: string; port: number } | null;
const client4 = { host: "192.0.2.7", port: 51_514 };
const client6 = { host: "2001:db8::7", port: 443 };

const HEADERS: Readonly<Record<string, readonly [Uint8Array, Client]>> = {
  "TCP4 of version 1": [bytesOf("PROXY TCP4 192.0.2.7 10.0.0.1 51514 6432\r\n"), client4],
  "TCP6 of version 1": [bytesOf("PROXY TCP6 2001:DB8:0::7 ::1 443 6432\r\n"), client6],
  "an IPv4 client of a TCP6 address": [bytesOf("PROXY TCP6 ::ffff:192.0.2.7 ::1 51514 1\r\n"), client4],
  "the longest line of version 1": [
    bytesOf(
      "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
    ),
    null,
  ],
  "UNKNOWN of version 1": [bytesOf("PROXY UNKNOWN\r\n"), null],
  "IPv4 of version 2": [v2Header({ source: ["192.0.2.7", 51_514] }), client4],
  "IPv6 of version 2": [v2Header({ source: ["2001:db8::7", 443] }), client6],
  "LOCAL of version 2": [v2Header({ command: "local" }), null],
  "LOCAL with addresses and rubbish": [
    bytesOf(v2Header({ command: "local" }).slice(0, 14), 0, 5, "\x03\xff\xff\0\0"),
    null,
  ],
  "an unspecified family": [v2Header(), null],
  "a unix socket": [bytesOf(v2Header().slice(0, 13), 0x31, 0, 216, new Uint8Array(216)), null],
  "TLVs of every kind": [
    v2Header({
      source: ["192.0.2.7", 51_514],
      tlvs: [[0x01, bytesOf("postgresql")], [0x20, new Uint8Array(3_000)], [0xea, bytesOf("\x01vpce-1")], [
        0x04,
        bytesOf(),
      ]],
      crc: "right",
    }),
    client4,
  ],
};

for (const [what, [bytes, client]] of Object.entries(HEADERS)) {
  Deno.test(`decodeProxyHeader reads ${what}, whole or byte by byte, and no byte behind it`, () => {
    assert.deepEqual(decodeProxyHeader(bytes), { client, size: bytes.length });
    assert.deepEqual(decodeProxyHeader(bytesOf(bytes, STARTUP_MESSAGE)), { client, size: bytes.length });
    for (let end = 0; end < bytes.length; end++) {
      assert.equal(decodeProxyHeader(bytes.subarray(0, end)), null, `${end} bytes`);
    }
  });
}

const v2 = v2Header({ source: ["192.0.2.7", 51_514] });
const REFUSED: Readonly<Record<string, Uint8Array>> = {
  "a StartupMessage": STARTUP_MESSAGE,
  "a ClientHello": bytesOf("\x16\x03\x01\x02\x00\x01"),
  "HTTP": bytesOf("POST / HTTP/1.1\r\n"),
  "a lower-case signature": bytesOf("proxy TCP4"),
  "a line without end": bytesOf("PROXY UNKNOWN ", "x".repeat(100)),
  "a line that ends in LF": bytesOf("PROXY TCP4 192.0.2.7 10.0.0.1 1 2\n", "x".repeat(100)),
  ...Object.fromEntries(
    [
      "TCP4",
      "TCP4 192.0.2.7 10.0.0.1 1",
      "TCP4 192.0.2.7 10.0.0.1 1 2 3",
      "TCP4  192.0.2.7 10.0.0.1 1 2",
      "TCP4 192.0.2.7 10.0.0.1 1 65536",
      "TCP4 192.0.2.7 10.0.0.1 01 2",
      "TCP4 192.0.2.7 10.0.0.1 -1 2",
      "TCP4 192.0.2.7 10.0.0.1 1e1 2",
      "TCP4 192.0.2.07 10.0.0.1 1 2",
      "TCP4 ::1 ::1 1 2",
      "TCP6 192.0.2.7 10.0.0.1 1 2",
      "TCP6 ::1 10.0.0.1 1 2",
      "TCP5 192.0.2.7 10.0.0.1 1 2",
      "UDP4 192.0.2.7 10.0.0.1 1 2",
      "TCP4 localhost 10.0.0.1 1 2",
      "",
    ].map((line) => [`the line ${JSON.stringify(line)}`, bytesOf(`PROXY ${line}\r\n`)]),
  ),
  "version 1 in a header of version 2": v2.with(12, 0x11),
  "another command": v2.with(12, 0x22),
  "another family": v2.with(13, 0x41),
  "datagrams": v2.with(13, 0x12),
  "addresses cut short": v2.with(15, 11),
  "a TLV that leads past the end": v2Header({ source: ["192.0.2.7", 1], tlvs: [[1, bytesOf("ab")]] }).with(
    30,
    3,
  ),
  "half a TLV": bytesOf(v2.with(15, 14), 1, 0),
  "a wrong checksum": v2Header({ source: ["192.0.2.7", 1], crc: "wrong" }),
  "a checksum of three bytes": bytesOf(v2.with(15, 18), tlv(3, new Uint8Array(3))),
  "a header longer than 16 KiB": v2.with(14, 0x40),
};

for (const [what, bytes] of Object.entries(REFUSED)) {
  Deno.test(`decodeProxyHeader refuses ${what}`, () => {
    assert.throws(() => decodeProxyHeader(bytes), ProtocolError);
    const steps = Array.from(bytes, (_, i) => bytes.subarray(0, i + 1));
    assert.throws(() => steps.forEach(decodeProxyHeader), ProtocolError);
  });
}

Deno.test("decodeProxyHeader is total, and needs no more than its bound", () => {
  const mutated = fc.tuple(fc.constantFrom(...Object.values(HEADERS)), fc.nat(), fc.nat(255)).map((
    [[bytes], at, byte],
  ) => bytes.with(at % bytes.length, byte));
  fc.assert(fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 200 })), (bytes) => {
    try {
      const header = decodeProxyHeader(bytes);
      assert.ok(header === null || header.size <= bytes.length);
    } catch (error) {
      assert.ok(error instanceof ProtocolError);
    }
  }));
  const longest = bytesOf(v2.slice(0, 14), 0x3f, 0xf0, new Uint8Array(MAX_PROXY_HEADER_BYTES - 16)).fill(
    4,
    28,
  );
  assert.throws(() => decodeProxyHeader(longest), ProtocolError);
});

Deno.test("crc32c gives the checksums of RFC 3720", () => {
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
});
