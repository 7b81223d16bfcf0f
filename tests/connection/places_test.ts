import assert from "node:assert/strict";
import { giveBackPlaces, Places, sharedPlaces, takenPlaces } from "../../src/connection/places.ts";
import { inWorkers } from "../limits/workers.ts";

Deno.test("Places admits up to the limit it is given, and each place comes back once", () => {
  const places = new Places();
  const [first, second] = [places.enter(2), places.enter(2)];
  assert.equal(places.enter(2), null);
  assert.notEqual(places.enter(3), null, "the limit is the caller's");
  assert.equal(places.open, 3);
  first!();
  first!();
  assert.equal(places.open, 2);
  assert.equal(places.enter(2), null);
  second!();
  assert.notEqual(places.enter(2), null);
});

Deno.test("Places without a limit admits everybody, and counts", () => {
  const places = new Places();
  for (let i = 0; i < 1_000; i++) assert.notEqual(places.enter(0), null);
  assert.equal(places.open, 1_000);
});

Deno.test("Places of several isolates share one limit, and what a dead one had taken is given back", () => {
  const memory = sharedPlaces(2);
  const [one, two] = [new Places(memory, 0), new Places(memory, 1)];
  for (let i = 0; i < 3; i++) assert.notEqual(one.enter(5), null);
  const leave = two.enter(5)!;
  two.enter(5);
  assert.deepEqual([one.enter(5), two.enter(5), takenPlaces(memory)], [null, null, 5]);
  giveBackPlaces(memory, 0);
  assert.deepEqual([one.open, two.open], [2, 2]);
  leave();
  assert.equal(takenPlaces(memory), 1);
});

Deno.test("Places of an isolate that was declared dead change nothing any more, whatever it still does", () => {
  const memory = sharedPlaces(2);
  const [dead, other] = [new Places(memory, 0), new Places(memory, 1)];
  const [leave, another] = [dead.enter(0)!, dead.enter(0)!];
  other.enter(0);
  giveBackPlaces(memory, 0);
  assert.equal(takenPlaces(memory), 1);
  leave();
  assert.equal(takenPlaces(memory), 1, "given back twice");
  assert.equal(dead.enter(0), null);
  assert.equal(takenPlaces(memory), 1, "taken by nobody");
  const next = new Places(memory, 0);
  const leaveNext = next.enter(2)!;
  another();
  assert.equal(takenPlaces(memory), 2, "given back by another");
  leaveNext();
  giveBackPlaces(memory, 0);
  giveBackPlaces(memory, 0);
  assert.equal(takenPlaces(memory), 1);
});

Deno.test("Places are exact when isolates take them at the same time", async () => {
  const memory = sharedPlaces(2);
  const taken = await inWorkers(2, memory, (isolate, memory, { Places }) => {
    const places = new Places(memory, isolate);
    let taken = 0;
    for (let i = 0; i < 200_000; i++) {
      const leave = places.enter(100);
      if (leave !== null && i % 3 === 0) leave();
      else if (leave !== null) taken++;
    }
    return taken;
  });
  assert.equal(taken[0]! + taken[1]!, 100);
  assert.equal(takenPlaces(memory), 100);
});
