import assert from "node:assert/strict";
import fc from "fast-check";
import { ByteBuffer } from "../../src/wire/byte_buffer.ts";
import { editStartupMessage } from "../../src/wire/startup_edit.ts";
import { decodeStartupPacket, type StartupMessage } from "../../src/wire/startup_packet.ts";
import { bytesOf, packetOf, PROTOCOL_3_0, STARTUP_MESSAGE } from "./bytes.ts";

type Changes = readonly (readonly [name: string, value: string | null])[];

const EDITS: readonly (readonly [name: string, body: string, changes: Changes, expected: string])[] = [
  ["sets the user", "user\0alice\0database\0d\0\0", [["user", "bob"]], "database\0d\0user\0bob\0\0"],
  [
    "adds what is not there",
    "user\0alice\0\0",
    [["application_name", "x"]],
    "user\0alice\0application_name\0x\0\0",
  ],
  ["removes", "user\0alice\0options\0-c a=b\0\0", [["options", null]], "user\0alice\0\0"],
  ["removes what is not there", "user\0alice\0\0", [["options", null]], "user\0alice\0\0"],
  [
    "sets an empty value",
    "user\0alice\0\0",
    [["application_name", ""]],
    "user\0alice\0application_name\0\0\0",
  ],
  [
    "replaces every spelling that PostgreSQL takes for the same setting",
    "user\0alice\0Application_Name\0admin\0APPLICATION_NAME\0root\0\0",
    [["application_name", "x"]],
    "user\0alice\0application_name\0x\0\0",
  ],
  [
    "keeps what it does not change byte for byte, UTF-8 or not",
    "application_name\0J\xfcrgen\0user\0alice\0\0",
    [["user", "bob"]],
    "application_name\0J\xfcrgen\0user\0bob\0\0",
  ],
  ["writes UTF-8", "user\0alice\0\0", [["user", "jürgen"]], "user\0j\xc3\xbcrgen\0\0"],
  [
    "folds ASCII letters alone",
    "user\0a\0\xc3\x84\0x\0\0",
    [["\xe4", "y"]],
    "user\0a\0\xc3\x84\0x\0\xc3\xa4\0y\0\0",
  ],
];

for (const [name, body, changes, expected] of EDITS) {
  Deno.test(`editStartupMessage() ${name}`, () => {
    const edited = editStartupMessage(decode(packetOf(PROTOCOL_3_0, body)), new Map(changes));
    assert.deepEqual(edited, packetOf(PROTOCOL_3_0, expected));
  });
}

Deno.test("editStartupMessage() gives the client's own bytes when nothing is to change", () => {
  const packet = decode(STARTUP_MESSAGE);
  assert.equal(editStartupMessage(packet, new Map()), packet.bytes);
});

Deno.test("editStartupMessage() keeps the client's protocol version", () => {
  const edited = editStartupMessage(
    decode(packetOf("\x00\x03\x00\x02", "user\0a\0\0")),
    new Map([["user", "b"]]),
  );
  assert.deepEqual(edited, packetOf("\x00\x03\x00\x02", "user\0b\0\0"));
});

Deno.test("editStartupMessage() writes 10,004 bytes and not one more", () => {
  const packet = decode(packetOf(PROTOCOL_3_0, "user\0a\0\0"));
  const room = 10_004 - packet.bytes.length - "options\0\0".length;
  assert.equal(editStartupMessage(packet, new Map([["options", "x".repeat(room)]])).length, 10_004);
  assert.throws(
    () => editStartupMessage(packet, new Map([["options", "x".repeat(room + 1)]])),
    { name: "RangeError", message: "Cannot encode StartupMessage: 10005 bytes, expected at most 10004" },
  );
});

for (
  const [name, parameter, value] of [
    ["a NUL in a value", "application_name", "a\0user\0root"],
    ["a NUL in a name", "x\0user", "root"],
    ["half a surrogate pair", "application_name", "\ud800"],
    ["a name of no characters", "", "x"],
  ] as const
) {
  Deno.test(`editStartupMessage() refuses ${name}`, () => {
    assert.throws(
      () => editStartupMessage(decode(STARTUP_MESSAGE), new Map([[parameter, value]])),
      RangeError,
    );
  });
}

Deno.test("editStartupMessage() gives a packet that decodes to what was asked for, whatever that is", () => {
  const text = fc.string({ unit: "grapheme", maxLength: 20 }).filter((it) =>
    !it.includes("\0") && it.isWellFormed()
  );
  const name = text.filter((it) => it !== "" && !/[A-Z]/.test(it));
  fc.assert(
    fc.property(
      fc.dictionary(name, text, { maxKeys: 5 }),
      fc.dictionary(name, text, { maxKeys: 5 }),
      (had, set) => {
        const body = Object.entries({ ...had, user: "alice" }).map(([key, value]) => `${key}\0${value}\0`)
          .join("");
        const packet = decode(packetOf(PROTOCOL_3_0, new TextEncoder().encode(`${body}\0`)));
        const changes = new Map(Object.entries({ ...set, user: "bob" }));
        const edited = decode(editStartupMessage(packet, changes));
        const expected = { ...had, ...set, user: "bob" };
        assert.deepEqual(new Map(edited.parameters), new Map(Object.entries(expected)));
      },
    ),
  );
});

function decode(bytes: Uint8Array): StartupMessage {
  const buffer = new ByteBuffer(20_000);
  buffer.append(bytesOf(bytes));
  const packet = decodeStartupPacket(buffer);
  assert.equal(packet?.kind, "startup_message");
  return packet as StartupMessage;
}
