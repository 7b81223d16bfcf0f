import assert from "node:assert/strict";
import fc from "fast-check";
import { RateLimit, type RateLimitOptions } from "../../src/connection/rate_limit.ts";
import { Limits, sharedLimits } from "../../src/limits/limits.ts";

Deno.test("RateLimit allows a burst, then its rate, and no more than the burst after a long pause", () => {
  const take = taker({ burst: 3, perSecond: 2 });
  const at = (now: number) => take("192.0.2.1:5", now);
  assert.deepEqual([0, 0, 0, 0].map(at), [true, true, true, false]);
  assert.deepEqual([499, 500, 501].map(at), [false, true, false]);
  assert.deepEqual([3_600_000, 3_600_000, 3_600_000, 3_600_000].map(at), [true, true, true, false]);
});

Deno.test("RateLimit counts a network as one, whatever its ports and the lower 64 bits of IPv6", () => {
  const take = taker({ burst: 1, perSecond: 1 });
  assert.ok(take("192.0.2.1:1", 0));
  assert.ok(!take("192.0.2.1:2", 0));
  assert.ok(take("192.0.2.2:1", 0));
  assert.ok(take("[2001:db8:1:2:3::4]:1", 0));
  assert.ok(!take("[2001:db8:1:2::5]:1", 0));
  assert.ok(take("[2001:db8:1:3::5]:1", 0));
});

Deno.test("RateLimit never allows more than burst and rate together", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(400), { maxLength: 200 }), (pauses) => {
      const take = taker({ burst: 5, perSecond: 10 });
      let now = 0;
      const taken = pauses.filter((pause) => take("192.0.2.1:1", now += pause)).length;
      assert.ok(taken <= 5 + now / 100, `${taken} in ${now} ms`);
    }),
    { numRuns: 50 },
  );
});

Deno.test("RateLimit is of all isolates together, and of one name", () => {
  const memory = sharedLimits(2);
  const [one, two, other] = [["a", 0], ["a", 1], ["b", 0]].map(([name, isolate]) => {
    const limits = new Limits({ memory, isolate: Number(isolate), now: () => 0 });
    return new RateLimit({ name: ["cancels", String(name)], burst: 3, perSecond: 1 }, limits);
  });
  const takes = [one, two, one, two, one, other].map((limit) => limit!.take("192.0.2.1:1"));
  assert.deepEqual(takes, [true, true, true, false, false, true]);
});

function taker(options: Omit<RateLimitOptions, "name">) {
  let time = 0;
  const limit = new RateLimit({ name: ["cancels"], ...options }, new Limits({ now: () => time }));
  return (client: string, now: number) => {
    time = now;
    return limit.take(client);
  };
}
