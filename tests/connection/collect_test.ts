import assert from "node:assert/strict";
import { collectSoon, IdleWatch, noteRested } from "../../src/connection/collect.ts";
import { eventually } from "../support/closing_lines.ts";
import { fakeEngine } from "../support/fake_engine.ts";

Deno.test("a worker started with the flags of the task collects when its sessions have come to rest", async () => {
  const config = await Deno.readTextFile(new URL("../../deno.json", import.meta.url));
  const flags = JSON.parse(config).tasks.start.command.split(" ").find((word: string) =>
    word.startsWith("--v8-flags=")
  );
  const program = new URL("../support/collecting.ts", import.meta.url).href;
  const args = ["run", "-A", "--quiet", "--no-check", flags, program];
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  assert.equal(new TextDecoder().decode(stdout), "0 held\n", new TextDecoder().decode(stderr));
});

Deno.test("noteRested() lets the engine collect once for many sessions, and not for a few", async () => {
  using engine = fakeEngine();
  for (let sessions = 0; sessions < 99; sessions++) noteRested();
  assert.equal(engine.waiting, 0);
  for (let sessions = 99; sessions < 150; sessions++) noteRested();
  assert.equal(engine.waiting, 1);
  await eventually(engine.collected, "a collection");
  assert.deepEqual(engine.asked, [{ type: "major", execution: "sync", flavor: "last-resort" }]);
  // It counts from nothing again.
  for (let sessions = 0; sessions < 99; sessions++) noteRested();
  assert.equal(engine.waiting, 1);
});

Deno.test("collectSoon() does not wait where the engine cannot be told to collect", () => {
  using engine = fakeEngine();
  engine.isMissing = true;
  collectSoon();
  assert.equal(engine.waiting, 0);
});

Deno.test("IdleWatch wants two looks between which the process has done next to nothing", () => {
  const watch = new IdleWatch();
  assert.equal(watch.isIdle(1_000, 0), false, "the first look");
  assert.equal(watch.isIdle(1_000.1, 500), true);
  assert.equal(watch.isIdle(1_400, 1_000), false, "a rush");
  assert.equal(watch.isIdle(1_406, 1_500), false, "more than a hundredth of a core");
  assert.equal(watch.isIdle(1_406, 2_000), true);
  // A look that comes late has more to look back on.
  assert.equal(watch.isIdle(1_416, 3_500), true);
});
