import assert from "node:assert/strict";
import { Attempts, networkOf } from "../../src/auth/attempts.ts";

Deno.test("Attempts blocks a user after ten failures, and lets one more guess in every six seconds", () => {
  const { attempts, pass } = make();
  for (let i = 0; i < 10; i++) {
    assert.equal(attempts.isBlocked(OFFICE, "alice"), false);
    attempts.fail(OFFICE, "alice");
  }
  assert.equal(attempts.isBlocked(OFFICE, "alice"), true);
  assert.equal(attempts.isBlocked(OFFICE, "bob"), false);
  assert.equal(attempts.isBlocked("192.0.2.2:1", "alice"), false);
  pass(5_000);
  assert.equal(attempts.isBlocked(OFFICE, "alice"), true);
  pass(1_100);
  assert.equal(attempts.isBlocked(OFFICE, "alice"), false);
  attempts.fail(OFFICE, "alice");
  assert.equal(attempts.isBlocked(OFFICE, "alice"), true);
});

Deno.test("Attempts keeps answers back longer each time, up to two seconds, and forgets after a success", () => {
  const { attempts } = make();
  const delays = Array.from({ length: 8 }, () => attempts.fail(OFFICE, "alice"));
  assert.deepEqual(delays, [50, 100, 200, 400, 800, 1_600, 2_000, 2_000]);
  attempts.succeed(OFFICE, "alice");
  assert.equal(attempts.fail(OFFICE, "alice"), 50);
});

Deno.test("Attempts blocks an address that tries many users, for no longer than its count runs down", () => {
  const { attempts, pass } = make();
  for (let i = 0; i < 100; i++) attempts.fail(OFFICE, `user ${i}`);
  assert.equal(attempts.isBlocked(OFFICE, "alice"), true);
  assert.equal(attempts.isBlocked("192.0.2.2:1", "alice"), false);
  pass(700);
  assert.equal(attempts.isBlocked(OFFICE, "alice"), false);
});

Deno.test("Attempts stays bounded, whatever comes from however many addresses and users", () => {
  const { attempts } = make();
  for (let i = 0; i < 30_000; i++) {
    attempts.fail(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}:1`, "x".repeat(9_000) + i);
  }
  assert.equal(attempts.size, 10_000);
});

Deno.test("networkOf() gives an IPv4 address, or the /64 of an IPv6 address however it is written", () => {
  const cases = [
    ["192.0.2.1:5432", "192.0.2.1"],
    ["[::ffff:192.0.2.1]:5432", "192.0.2.1"],
    ["[2001:db8:0:1:aaaa:bbbb:cccc:dddd]:1", "2001:db8:0:1"],
    ["[2001:DB8:0:1::1]:1", "2001:db8:0:1"],
    ["[2001:db8:0:1::2]:2", "2001:db8:0:1"],
    ["[2001:0db8::1]:1", "2001:db8:0:0"],
    ["[fe80::1%eth0]:1", "fe80:0:0:0"],
    ["[::1]:1", "0:0:0:0"],
    ["unknown", "unknown"],
  ];
  for (const [client, network] of cases) assert.equal(networkOf(client!), network);
});

const OFFICE = "192.0.2.1:51514";

function make() {
  let now = 0;
  return { attempts: new Attempts(() => now), pass: (ms: number) => void (now += ms) };
}
