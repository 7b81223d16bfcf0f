import assert from "node:assert/strict";
import { EarlyIsolates } from "../../src/workers/early_isolates.ts";
import { isolateModule } from "./isolate_support.ts";

Deno.test("EarlyIsolates gives each of its isolates away once, booted", async () => {
  const isolates = new EarlyIsolates(2, isolateModule(""));
  const [one, other] = [await isolates.take(), await isolates.take()];
  assert.ok(one && other && one !== other);
  await Promise.all([one.ready, other.ready]);
  assert.equal(await isolates.take(), null);
  isolates.end();
  assert.deepEqual([one.isGone, other.isGone], [false, false], "what is taken is the taker's");
  one.terminate();
  other.terminate();
});

Deno.test("EarlyIsolates never gives away one that has failed to boot, or has ended since", async () => {
  const stillborn = new EarlyIsolates(2, isolateModule(`throw new Error("not today")`));
  assert.equal(await stillborn.take(), null);
  const mortal = new EarlyIsolates(2, isolateModule(`setTimeout(() => Deno.exit(1), 20)`));
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(await mortal.take(), null);
});

Deno.test("EarlyIsolates ends those that nobody has taken", async () => {
  const hello = new BroadcastChannel("early isolates");
  const alive = new Set<string>();
  hello.onmessage = ({ data }) => void alive.add(data);
  const source = `const channel = new BroadcastChannel("early isolates");
    setInterval(() => channel.postMessage(name), 5)`;
  const isolates = new EarlyIsolates(2, isolateModule(source));
  const taken = await isolates.take();
  isolates.end();
  await new Promise((resolve) => setTimeout(resolve, 200));
  alive.clear();
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(alive.size, 1);
  assert.equal(await isolates.take(), null);
  taken?.terminate();
  hello.close();
});

Deno.test("EarlyIsolates has none where none can be started", async () => {
  assert.equal(await new EarlyIsolates(2, "no module at all").take(), null);
});
