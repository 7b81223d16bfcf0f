import assert from "node:assert/strict";
import { EarlyIsolates } from "../../src/workers/early_isolates.ts";
import { until } from "../support/closing_lines.ts";
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
  using order = new Channel("end, early isolates");
  const source = `new BroadcastChannel("end, early isolates").onmessage = () => Deno.exit(1)`;
  const mortal = new EarlyIsolates(2, isolateModule(source));
  await mortal.booted();
  order.postMessage("now");
  await until(() => mortal.living === 0, "both to be gone");
  assert.equal(await mortal.take(), null);
});

Deno.test("EarlyIsolates ends those that nobody has taken", async () => {
  using signs = new Channel("early isolates");
  /** Signs of life of each, since last forgotten. */
  const counts = new Map<string, number>();
  signs.onmessage = ({ data }) => void counts.set(data, (counts.get(data) ?? 0) + 1);
  const source = `const channel = new BroadcastChannel("early isolates");
    setInterval(() => channel.postMessage(name), 5)`;
  const isolates = new EarlyIsolates(2, isolateModule(source));
  const taken = await isolates.take();
  await isolates.booted();
  await until(() => counts.size === 2, "signs of life of both");
  isolates.end();
  // By then those of the other that were under way have come: it sent as many as the one that goes on.
  for (let i = 0; i < 2; i++) {
    counts.clear();
    await until(
      () => [...counts.values()].some((count) => count >= 40),
      "signs of life of the one that was taken",
    );
  }
  assert.equal(counts.size, 1);
  assert.equal(await isolates.take(), null);
  taken?.terminate();
});

Deno.test("EarlyIsolates has none where none can be started", async () => {
  assert.equal(await new EarlyIsolates(2, "no module at all").take(), null);
});

class Channel extends BroadcastChannel implements Disposable {
  [Symbol.dispose](): void {
    this.close();
  }
}
