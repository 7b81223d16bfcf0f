import assert from "node:assert/strict";
import fc from "fast-check";
import { FadingCounts, fadingMemory } from "../../src/limits/fading_counts.ts";
import { type Key, makeKey } from "../../src/limits/keys.ts";
import { inWorkers } from "./workers.ts";

const SECRET = new Uint8Array(32).fill(7);
const SECOND = { unitMs: 1_000 };

Deno.test("FadingCounts counts one less with each unit of time, down to nothing", () => {
  const { counts, pass } = make();
  const key = keyOf("alice");
  assert.deepEqual([counts.add(key, SECOND), counts.add(key, SECOND)], [1, 2]);
  pass(500);
  assert.equal(counts.count(key, SECOND), 1.5);
  pass(60_000);
  assert.deepEqual([counts.count(key, SECOND), counts.add(key, SECOND)], [0, 1]);
});

Deno.test("FadingCounts takes up to a limit, and what it refuses does not count", () => {
  const { counts, pass } = make();
  const rate = { ...SECOND, limit: 3 };
  const take = () => counts.take(keyOf("alice"), rate);
  assert.deepEqual([take(), take(), take(), take(), take()], [true, true, true, false, false]);
  pass(999);
  assert.equal(take(), false);
  pass(1);
  assert.deepEqual([take(), take()], [true, false]);
});

Deno.test("FadingCounts clears one key, and leaves what another has in the same cells", () => {
  const { counts } = make();
  const [one, other]: Key[] = [[1, 2, 3, 4], [1, 7, 8, 9]];
  for (let i = 0; i < 3; i++) counts.add(one!, SECOND);
  for (let i = 0; i < 5; i++) counts.add(other!, SECOND);
  assert.deepEqual([counts.count(one!, SECOND), counts.count(other!, SECOND)], [3, 5]);
  counts.clear(one!);
  assert.deepEqual([counts.count(one!, SECOND), counts.count(other!, SECOND)], [0, 5]);
});

Deno.test("FadingCounts counts too much when keys meet in all rows, and never too little", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(key(), fc.nat(2_000)), { maxLength: 100 }), (steps) => {
      const { counts, pass } = make();
      const alone = new Map<string, FadingCounts>();
      const clocks: ((ms: number) => void)[] = [];
      for (const [key, pauseMs] of steps) {
        const name = key.join();
        const own = alone.get(name) ?? (() => {
          const made = make();
          clocks.push(made.pass);
          alone.set(name, made.counts);
          return made.counts;
        })();
        counts.add(key, SECOND);
        own.add(key, SECOND);
        pass(pauseMs);
        for (const passAlone of clocks) passAlone(pauseMs);
        for (const [each, single] of alone) {
          const parsed = each.split(",").map(Number);
          assert.ok(counts.count(parsed, SECOND) >= single.count(parsed, SECOND));
        }
      }
    }),
    { numRuns: 50 },
  );
});

Deno.test("FadingCounts of a clock that is set forth or back by an hour is over, and locks nobody out", () => {
  for (const ms of [3_600_000, -3_600_000, 2 ** 31, -(2 ** 31), 2 ** 32 + 200_000]) {
    const { counts, pass } = make();
    for (let i = 0; i < 10; i++) counts.add(keyOf("alice"), SECOND);
    pass(ms);
    assert.equal(counts.count(keyOf("alice"), SECOND), 0, `after ${ms} ms`);
    assert.equal(counts.add(keyOf("alice"), SECOND), 1);
  }
});

Deno.test("FadingCounts that were cleared are so on a clock that is set back, too", () => {
  const { counts, pass } = make();
  counts.add(keyOf("alice"), SECOND);
  counts.clear(keyOf("alice"));
  pass(-60_000);
  assert.equal(counts.count(keyOf("alice"), SECOND), 0);
});

Deno.test("FadingCounts counts nobody who has done nothing, whatever time it is", () => {
  for (const bits of [31, 32, 33, 40]) {
    for (const ms of [-119_999, -60_000, -1, 0, 1, 60_000]) {
      const counts = new FadingCounts(fadingMemory(), () => 2 ** bits + ms);
      assert.equal(counts.count(keyOf("alice"), SECOND), 0, `2^${bits} ms and ${ms} after 1970`);
    }
  }
});

Deno.test("FadingCounts that have run down never count again", () => {
  for (const ms of [2 ** 31, 2 ** 32, 2 ** 33, 2 ** 40]) {
    for (const before of [119_000, 60_000, 1_000]) {
      const { counts, pass } = make();
      for (let i = 0; i < 10; i++) counts.add(keyOf("alice"), SECOND);
      pass(ms - before + 10_000);
      assert.equal(counts.count(keyOf("alice"), SECOND), 0, `${before} ms before ${ms} have passed`);
    }
  }
});

Deno.test("FadingCounts runs down within two minutes, however much is added", () => {
  const { counts, pass } = make();
  for (let i = 0; i < 10_000; i++) counts.add(keyOf("alice"), SECOND);
  pass(120_000);
  assert.equal(counts.count(keyOf("alice"), SECOND), 0);
});

Deno.test("FadingCounts that are flooded hold up few others, and only until the flood has run down", () => {
  const { counts, pass } = make();
  const user = { unitMs: 6_000, limit: 10 };
  for (let i = 0; i < 10_000; i++) {
    for (let j = 0; j < 10; j++) counts.add(keyOf(`guessed ${i}`), user);
  }
  const others = Array.from({ length: 10_000 }, (_, i) => keyOf(`innocent ${i}`));
  const heldUp = others.filter((key) => counts.count(key, user) > user.limit - 1).length;
  assert.ok(heldUp < 20, `${heldUp} of 10,000`);
  pass(60_000);
  assert.ok(others.every((key) => counts.count(key, user) === 0));
});

Deno.test("FadingCounts that several isolates take at once give no more than the limit", async () => {
  const memory = fadingMemory();
  const taken = await inWorkers(4, memory, (_isolate, memory, { FadingCounts, makeKey }) => {
    const counts = new FadingCounts(memory, () => 1_000);
    let taken = 0;
    for (let i = 0; i < 200; i++) {
      const key = makeKey(new Uint8Array(32), [String(i)]);
      for (let j = 0; j < 100; j++) if (counts.take(key, { unitMs: 1_000, limit: 50 })) taken += 1;
    }
    return taken;
  });
  const sum = taken.reduce((one, other) => one + other);
  assert.ok(sum <= 200 * 50, `${sum} of ${200 * 50}`);
  assert.ok(sum >= 200 * 40, `${sum}: more than those who want the last ones at once got nothing`);
});

Deno.test("FadingCounts that several isolates clear at once lose nothing of what others have in the same cells", async () => {
  const memory = fadingMemory();
  const places = { counts: memory, step: new SharedArrayBuffer(4) };
  const [lost] = await inWorkers(2, places, (isolate, { counts: memory, step }, { FadingCounts }) => {
    const [counts, rate] = [new FadingCounts(memory, () => 1_000), { unitMs: 1_000 }];
    const steps = new Int32Array(step);
    let turn = 0;
    // Both are through with a step before either begins the next.
    const meet = () => {
      Atomics.add(steps, 0, 1);
      turn += 2;
      while (Atomics.load(steps, 0) < turn);
    };
    let lost = 0;
    for (let i = 0; i < 2_000; i++) {
      const [one, other] = [[4 * i, i, i, i], [4 * i, i + 1, i + 1, i + 1]] as const;
      if (isolate === 0) {
        for (let j = 0; j < 5; j++) counts.add(one, rate);
        for (let j = 0; j < 9; j++) counts.add(other, rate);
      }
      meet();
      counts.clear(one);
      meet();
      if (isolate === 0) {
        if (counts.count(other, rate) < 9) lost++;
        counts.clear(other);
      }
      meet();
    }
    return lost;
  });
  assert.equal(lost, 0);
});

Deno.test("makeKey() depends on the secret, and does not run parts together", () => {
  const key = (secret: Uint8Array, ...parts: string[]) => makeKey(secret, parts).join();
  const keys = [
    key(SECRET, "a", "b"),
    key(SECRET, "ab"),
    key(SECRET, "a", "b", ""),
    key(SECRET, 'a","b'),
    key(new Uint8Array(32), "a", "b"),
  ];
  assert.equal(new Set(keys).size, keys.length);
  assert.equal(key(SECRET, "a", "b"), keys[0]);
});

function make() {
  let now = Date.UTC(2026, 0, 1);
  return { counts: new FadingCounts(fadingMemory(), () => now), pass: (ms: number) => void (now += ms) };
}

function keyOf(name: string): Key {
  return makeKey(SECRET, [name]);
}

/** Of so few cells that many meet. */
function key(): fc.Arbitrary<number[]> {
  return fc.tuple(fc.nat(2), fc.nat(2), fc.nat(2), fc.nat(2)).map((words) => [...words]);
}
