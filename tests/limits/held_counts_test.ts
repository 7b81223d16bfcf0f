import assert from "node:assert/strict";
import { forgetHeld, HeldCounts, heldMemory } from "../../src/limits/held_counts.ts";
import { type Key, makeKey } from "../../src/limits/keys.ts";
import { inWorkers } from "./workers.ts";

const [ALICE, BOB] = ["alice", "bob"].map((name) => makeKey(new Uint8Array(32), [name])) as [Key, Key];

Deno.test("HeldCounts counts what all isolates hold of a key, and each once", () => {
  const memory = heldMemory(2);
  const [one, two] = [new HeldCounts(memory, 0), new HeldCounts(memory, 1)];
  const [leave] = [one.hold(ALICE), one.hold(ALICE), two.hold(ALICE), two.hold(BOB)];
  assert.deepEqual([one.count(ALICE), two.count(ALICE), one.count(BOB)], [3, 3, 1]);
  leave!();
  leave!();
  assert.equal(two.count(ALICE), 2);
});

Deno.test("HeldCounts forgets what an isolate held that has died, whatever it still does", () => {
  const memory = heldMemory(2);
  const [dead, other] = [new HeldCounts(memory, 0), new HeldCounts(memory, 1)];
  const leave = dead.hold(ALICE);
  dead.hold(ALICE);
  const leaveOther = other.hold(ALICE);
  forgetHeld(memory, 0);
  assert.equal(other.count(ALICE), 1);
  leave();
  dead.hold(BOB);
  assert.deepEqual([other.count(ALICE), other.count(BOB)], [1, 0]);
  const next = new HeldCounts(memory, 0);
  const leaveNext = next.hold(ALICE);
  leave();
  assert.equal(other.count(ALICE), 2);
  leaveNext();
  leaveOther();
  assert.equal(other.count(ALICE), 0);
});

Deno.test("HeldCounts stays right over thousands of deaths", () => {
  const memory = heldMemory(1);
  for (let i = 0; i < 10_000; i++) {
    const counts = new HeldCounts(memory, 0);
    counts.hold(ALICE);
    assert.equal(counts.count(ALICE), 1);
    forgetHeld(memory, 0);
  }
});

Deno.test("HeldCounts is exact when isolates hold and let go at the same time", async () => {
  const memory = heldMemory(2);
  await inWorkers(2, memory, (isolate, memory, { HeldCounts, makeKey }) => {
    const counts = new HeldCounts(memory, isolate);
    const key = makeKey(new Uint8Array(32), ["alice"]);
    for (let i = 0; i < 50_000; i++) {
      const leave = counts.hold(key);
      if (i % 1_000 !== 0) leave();
    }
    return 0;
  });
  assert.equal(new HeldCounts(memory, 0).count(ALICE), 100);
});
