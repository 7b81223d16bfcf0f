import assert from "node:assert/strict";
import { Isolate } from "../../src/workers/isolate.ts";
import type { FromWorker, Lent } from "../../src/workers/messages.ts";
import { isolateModule } from "./isolate_support.ts";

/** Something that either side may say to the other. */
const LENT: Lent = { kind: "lent", route: "orders", lender: "billing" };

Deno.test("Isolate is ready when it listens, and passes messages both ways", async () => {
  const isolate = new Isolate(isolateModule(`onmessage = ({ data }) => postMessage(data)`));
  const heard = new Promise<FromWorker>((resolve) => isolate.listen(resolve));
  await isolate.ready;
  assert.equal(isolate.isGone, false);
  isolate.post(LENT);
  assert.deepEqual(await heard, LENT);
  isolate.terminate();
});

for (
  const [how, source, detail] of [
    ["by an error nobody caught", `setTimeout(() => { throw new Error("thrown"); })`, /thrown/],
    ["by a rejection nobody caught", `setTimeout(() => Promise.reject(new Error("rejected")))`, /rejected/],
    ["by Deno.exit", `onmessage = () => Deno.exit(3)`, /^It has ended itself$/],
    ["by close", `onmessage = () => close()`, /^It has ended itself$/],
  ] as const
) {
  Deno.test(`Isolate tells that it is gone when it ends ${how}`, async () => {
    const isolate = new Isolate(isolateModule(source));
    await isolate.ready.then(() => isolate.post(LENT), () => {});
    assert.match(await isolate.gone, detail);
    assert.equal(isolate.isGone, true);
  });
}

Deno.test("Isolate is never ready when its module does not load", async () => {
  const isolate = new Isolate(isolateModule(`throw new Error("not today")`));
  await assert.rejects(isolate.ready, /not today/);
  assert.match(await isolate.gone, /not today/);
});

Deno.test("Isolate that is ended while it boots is gone at once, and never ready", async () => {
  const isolate = new Isolate(isolateModule(""));
  isolate.terminate();
  assert.equal(isolate.isGone, true);
  assert.equal(await isolate.gone, "Worker was ended");
  await assert.rejects(isolate.ready, { message: "Worker was ended" });
});

Deno.test("Isolate holds a lock of its own: the end of one is not taken for the end of another", async () => {
  const [one, other] = [new Isolate(isolateModule("")), new Isolate(isolateModule(""))];
  await Promise.all([one.ready, other.ready]);
  one.terminate();
  await one.gone;
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(other.isGone, false);
  other.terminate();
});
