import assert from "node:assert/strict";
import { Pace } from "../src/pace.ts";

Deno.test("Pace rests as long as has been worked, counted from the end of the last rest", async () => {
  const clock = fakeClock();
  const pace = new Pace(clock);
  for (const ms of [10, 7, 30]) {
    clock.work(ms);
    await pace.rest();
  }
  assert.deepEqual(clock.rests, [10, 7, 30]);
});

Deno.test("Pace does not rest after next to nothing, which adds up", async () => {
  const clock = fakeClock();
  const pace = new Pace(clock);
  for (let step = 0; step < 10; step++) {
    clock.work(1);
    await pace.rest();
  }
  assert.deepEqual(clock.rests, [4, 4]);
});

Deno.test("Pace takes a step that has waited for something else for no work that long", async () => {
  const clock = fakeClock();
  const pace = new Pace(clock);
  clock.work(10_000);
  await pace.rest();
  assert.deepEqual(clock.rests, [50]);
});

Deno.test("Pace lets the event loop run between two steps", async () => {
  const pace = new Pace();
  let hasRun = false;
  setTimeout(() => hasRun = true, 0);
  const startedAt = performance.now();
  while (performance.now() - startedAt < 10);
  await pace.rest();
  assert.ok(hasRun);
});

function fakeClock() {
  let time = 0;
  const rests: number[] = [];
  return {
    rests,
    work: (ms: number) => void (time += ms),
    now: () => time,
    sleep: (ms: number) => {
      rests.push(ms);
      time += ms;
      return Promise.resolve();
    },
  };
}
