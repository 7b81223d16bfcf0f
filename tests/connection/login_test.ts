import assert from "node:assert/strict";
import { StageError } from "../../src/errors.ts";
import { changeLogin, loginOf, requirePlainNames } from "../../src/connection/login.ts";
import { ByteBuffer } from "../../src/wire/byte_buffer.ts";
import { decodeStartupPacket, type StartupMessage } from "../../src/wire/startup_packet.ts";
import { packetOf, PROTOCOL_3_0 } from "../wire/bytes.ts";

const NOTHING = { user: null, parameters: new Map<string, string | null>() };

/** What a client says, what an app changes, and what the backend hears. */
const CHANGES: readonly (readonly [
  what: string,
  body: string,
  changes: { user?: string; parameters?: Readonly<Record<string, string | null>> },
  expected: string,
  names: readonly [user: string, database: string],
])[] = [
  ["a user with a database", "user\0a\0database\0d\0\0", { user: "b" }, "database\0d\0user\0b\0\0", [
    "b",
    "d",
  ]],
  ["a user, and the database it stood for", "user\0a\0\0", { user: "b" }, "user\0b\0database\0a\0\0", [
    "b",
    "a",
  ]],
  [
    "a user, and an empty database",
    "user\0a\0database\0\0\0",
    { user: "b" },
    "user\0b\0database\0a\0\0",
    ["b", "a"],
  ],
  ["the same user", "user\0a\0\0", { user: "a" }, "user\0a\0\0", ["a", "a"]],
  ["a database", "user\0a\0\0", { parameters: { database: "d" } }, "user\0a\0database\0d\0\0", ["a", "d"]],
  [
    "both",
    "user\0a\0database\0d\0\0",
    { user: "b", parameters: { database: "e" } },
    "database\0e\0user\0b\0\0",
    ["b", "e"],
  ],
  [
    "a user, and no database any more",
    "user\0a\0database\0d\0\0",
    { user: "b", parameters: { database: null } },
    "user\0b\0\0",
    ["b", "b"],
  ],
];

for (const [what, body, { user = null, parameters = {} }, expected, names] of CHANGES) {
  Deno.test(`changeLogin() takes ${what}, and says to the backend what was decided`, () => {
    const login = changeLogin(decode(body), { user, parameters: new Map(Object.entries(parameters)) });
    assert.deepEqual([login.user, login.database], names);
    assert.deepEqual(login.bytes, packetOf(PROTOCOL_3_0, expected));
    const heard = loginOf(decodeBytes(login.bytes));
    assert.deepEqual([heard.user, heard.database], names, "as PostgreSQL reads it");
  });
}

Deno.test("changeLogin() without changes gives the client's own bytes", () => {
  const packet = decode("user\0al\xffce\0\0");
  assert.equal(changeLogin(packet, NOTHING).bytes, packet.bytes);
});

Deno.test("requirePlainNames() lets pass what PostgreSQL reads the same, to the last byte", () => {
  for (const name of ["a", "x".repeat(63), "\xc3\xbc".repeat(31)]) {
    requirePlainNames(decode(`user\0${name}\0database\0${name}\0\0`));
  }
  requirePlainNames(decode("user\0a\0application_name\0\xff\0\0"));
});

for (const name of ["x".repeat(64), "\xc3\xbc".repeat(32), "a\xff", "\xed\xa0\x80"]) {
  Deno.test(`requirePlainNames() refuses ${JSON.stringify(name)} as user and as database`, () => {
    for (const body of [`user\0${name}\0database\0d\0\0`, `user\0a\0database\0${name}\0\0`]) {
      assert.throws(() => requirePlainNames(decode(body)), (error) => {
        return error instanceof StageError && error.reason === "rule_denied";
      });
    }
  });
}

function decode(body: string): StartupMessage {
  return decodeBytes(packetOf(PROTOCOL_3_0, body));
}

function decodeBytes(bytes: Uint8Array): StartupMessage {
  const buffer = new ByteBuffer(20_000);
  buffer.append(bytes);
  return decodeStartupPacket(buffer) as StartupMessage;
}
