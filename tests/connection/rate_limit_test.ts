import assert from "node:assert/strict";
import fc from "fast-check";
import { RateLimit } from "../../src/connection/rate_limit.ts";
import { networkOf } from "../../src/connection/socket.ts";

Deno.test("RateLimit allows a burst, then its rate, and no more than the burst after a long pause", () => {
  const limit = new RateLimit({ burst: 3, perSecond: 2 });
  const take = (now: number) => limit.take("192.0.2.1:5", now);
  assert.deepEqual([0, 0, 0, 0].map(take), [true, true, true, false]);
  assert.deepEqual([499, 500, 501].map(take), [false, true, false]);
  assert.deepEqual([3_600_000, 3_600_000, 3_600_000, 3_600_000].map(take), [true, true, true, false]);
});

Deno.test("RateLimit counts a network as one, whatever its ports and the lower 64 bits of IPv6", () => {
  const limit = new RateLimit({ burst: 1, perSecond: 1 });
  assert.ok(limit.take("192.0.2.1:1", 0));
  assert.ok(!limit.take("192.0.2.1:2", 0));
  assert.ok(limit.take("192.0.2.2:1", 0));
  assert.ok(limit.take("[2001:db8:1:2:3::4]:1", 0));
  assert.ok(!limit.take("[2001:db8:1:2::5]:1", 0));
  assert.ok(limit.take("[2001:db8:1:3::5]:1", 0));
  assert.deepEqual(
    ["10.0.0.1:7", "[2001:db8::1:2:3:4]:7", "[::1]:7", "unix", "unknown"].map(networkOf),
    ["10.0.0.1", "2001:db8::", "::", "unix", "unknown"],
  );
});

Deno.test("RateLimit never allows more than burst and rate together", () => {
  fc.assert(fc.property(fc.array(fc.nat(400), { maxLength: 200 }), (pauses) => {
    const limit = new RateLimit({ burst: 5, perSecond: 10 });
    let now = 0;
    const taken = pauses.filter((pause) => limit.take("192.0.2.1:1", now += pause)).length;
    assert.ok(taken <= 5 + now / 100, `${taken} in ${now} ms`);
  }));
});

Deno.test("RateLimit remembers a bounded number of networks, and forgets the one silent longest", () => {
  const limit = new RateLimit({ burst: 1, perSecond: 0.001, networks: 100 });
  assert.ok(limit.take("192.0.2.1:1", 0));
  for (let i = 0; i < 99; i++) limit.take(`10.0.0.${i}:1`, 1);
  assert.ok(!limit.take("192.0.2.1:1", 2), "remembered");
  for (let i = 0; i < 5_000; i++) limit.take(`[2001:db8:${i.toString(16)}::1]:1`, 3);
  assert.equal(limit.size, 100);
  assert.ok(limit.take("192.0.2.1:1", 4), "forgotten");
});
