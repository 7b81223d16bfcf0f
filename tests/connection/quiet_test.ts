import assert from "node:assert/strict";
import { Quiet } from "../../src/connection/quiet.ts";
import { until } from "../support/closing_lines.ts";

Deno.test("Quiet calls back once after the time, and not before", async () => {
  const quiet = new Quiet();
  const startedAt = performance.now();
  let after = 0;
  quiet.wait(30, () => after = performance.now() - startedAt);
  await until(() => after > 0, "the silence");
  // Timers of the runtime round to whole milliseconds.
  assert.ok(after >= 29, `after ${after} ms`);
});

Deno.test("Quiet starts anew with every touch", async () => {
  const quiet = new Quiet();
  let touchedAt = performance.now();
  let silence = 0;
  // Looked at when it calls: on a busy machine that may be before the last touch.
  quiet.wait(60, () => silence = performance.now() - touchedAt);
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    quiet.touch();
    touchedAt = performance.now();
  }
  await until(() => silence > 0, "the silence");
  assert.ok(silence >= 59, `after ${silence} ms`);
});

Deno.test("Quiet waits for the last thing it was told to, and for nothing once it is cleared", async () => {
  const quiet = new Quiet();
  const heard: string[] = [];
  quiet.wait(5, () => heard.push("first"));
  quiet.wait(10, () => heard.push("second"));
  await until(() => heard.length > 0, "the silence");
  quiet.wait(5, () => heard.push("third"));
  quiet.clear();
  quiet.touch();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(heard, ["second"]);
});
