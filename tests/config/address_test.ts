import assert from "node:assert/strict";
import fc from "fast-check";
import {
  isListenerConflict,
  isLoop,
  parseBackendAddress,
  parseServerName,
  parseTcpAddress,
  type TcpAddress,
} from "../../src/config/address.ts";

Deno.test("parseTcpAddress reads names, IPv4 and IPv6, in one spelling", () => {
  const tcp = (host: string, port: number) => ({ kind: "tcp", host, port });
  assert.deepEqual(parseTcpAddress("0.0.0.0:6432"), tcp("0.0.0.0", 6432));
  assert.deepEqual(parseTcpAddress("[::]:6432"), tcp("::", 6432));
  assert.deepEqual(parseTcpAddress("[2001:DB8:0:0::1]:1"), tcp("2001:db8::1", 1));
  assert.deepEqual(parseTcpAddress("LocalHost:0"), tcp("localhost", 0));
  assert.deepEqual(parseTcpAddress("pg_1.db.internal.:65535"), tcp("pg_1.db.internal.", 65535));
});

Deno.test("parseTcpAddress returns null when the text is no address", () => {
  const texts = [
    "",
    ":1",
    "a",
    "a:",
    "a:65536",
    "a:-1",
    "a:1:2",
    "::1:5432",
    "[::1]",
    "[a]:1",
    "1.2.3:1",
    "256.1.1.1:1",
  ];
  const more = [
    "a b:1",
    "a..b:1",
    "-a:1",
    "a-:1",
    "*.a:1",
    "user@a:1",
    "a:1/x",
    `${"a".repeat(64)}:1`,
    "[fe80::1%eth0]:1",
  ];
  for (const text of [...texts, ...more]) assert.equal(parseTcpAddress(text), null, text);
});

Deno.test("parseBackendAddress takes absolute socket paths and refuses port 0", () => {
  assert.deepEqual(parseBackendAddress("/run/s"), { kind: "unix", path: "/run/s" });
  for (const text of ["db:0", "run/s", "./s", "/", "/a\nb", `/${"a".repeat(107)}`]) {
    assert.equal(parseBackendAddress(text), null, text);
  }
});

Deno.test("parseServerName takes DNS names and IP addresses and nothing else", () => {
  assert.equal(parseServerName("DB.Example.com"), "db.example.com");
  assert.equal(parseServerName("::FFFF"), "::ffff");
  assert.equal(parseServerName("10.0.0.1"), "10.0.0.1");
  for (const text of ["", "db:1", "[::1]", "*.a", "a.", "bücher.de", "a b", "1.2.3"]) {
    assert.equal(parseServerName(text), null, text);
  }
});

Deno.test("isListenerConflict is true when one bound address covers the other", () => {
  const conflicts: [string, string][] = [
    ["127.0.0.1:1", "127.0.0.1:1"],
    ["0.0.0.0:1", "127.0.0.1:1"],
    ["[::]:1", "0.0.0.0:1"],
    ["[::]:1", "10.0.0.1:1"],
    ["localhost:1", "[::1]:1"],
    ["0.0.0.0:1", "db.example.com:1"],
  ];
  const free: [string, string][] = [
    ["127.0.0.1:1", "127.0.0.1:2"],
    ["127.0.0.1:0", "127.0.0.1:0"],
    ["127.0.0.1:1", "127.0.0.2:1"],
    ["0.0.0.0:1", "[::1]:1"],
    ["localhost:1", "10.0.0.1:1"],
  ];
  for (const [one, other] of conflicts) assert.ok(bothWays(one, other), `${one} ${other}`);
  for (const [one, other] of free) assert.ok(!bothWays(one, other), `${one} ${other}`);
});

Deno.test("isLoop is true when the backend is the listener itself, not when the port alone is the same", () => {
  const isSame = (listener: string, backend: string) => isLoop(tcp(listener), parseBackendAddress(backend)!);
  const loops = [["0.0.0.0:1", "localhost:1"], ["[::]:1", "[::1]:1"], ["[::]:1", "127.0.0.1:1"], [
    "a:1",
    "A:1",
  ]] as const;
  const others = [["0.0.0.0:1", "db:1"], ["0.0.0.0:1", "[::1]:1"], ["127.0.0.1:1", "127.0.0.1:2"], [
    "0.0.0.0:1",
    "/s",
  ]] as const;
  for (const [listener, backend] of loops) assert.ok(isSame(listener, backend), `${listener} ${backend}`);
  // Dialling 0.0.0.0 reaches this machine.
  assert.ok(isSame("127.0.0.1:1", "0.0.0.0:1"));
  for (const [listener, backend] of others) assert.ok(!isSame(listener, backend), `${listener} ${backend}`);
});

Deno.test("parseTcpAddress reads back what it returned, whatever it was given", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.ipV6().map((ip) => `[${ip}]:1`),
        fc.domain().map((name) => `${name}:1`),
      ),
      (text) => {
        const address = parseTcpAddress(text);
        if (address === null) return;
        const host = address.host.includes(":") ? `[${address.host}]` : address.host;
        assert.deepEqual(parseTcpAddress(`${host}:${address.port}`), address);
      },
    ),
  );
});

function bothWays(one: string, other: string): boolean {
  const forth = isListenerConflict(tcp(one), tcp(other));
  assert.equal(isListenerConflict(tcp(other), tcp(one)), forth);
  return forth;
}

function tcp(text: string): TcpAddress {
  const address = parseTcpAddress(text);
  assert.ok(address !== null, text);
  return address;
}
