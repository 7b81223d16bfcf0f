import assert from "node:assert/strict";

import { AcceptanceCache } from "../../../src/tls/path/cache.ts";

const acceptance = { from: 10, until: 20, notAfter: 19, trustedBy: "" };

Deno.test("AcceptanceCache answers from from until before until", () => {
  const cache = new AcceptanceCache();
  for (
    const [now, expected] of [[9, null], [10, acceptance], [19, acceptance], [20, null], [
      Number.NaN,
      null,
    ]] as const
  ) {
    cache.set("key", acceptance);
    assert.equal(cache.get("key", now), expected);
  }
});

Deno.test("AcceptanceCache forgets the oldest when it is full", () => {
  const cache = new AcceptanceCache(2);
  for (const key of ["a", "b", "a", "c"]) cache.set(key, acceptance);
  assert.deepEqual(["a", "b", "c"].map((key) => cache.get(key, 15) !== null), [true, false, true]);
});
