import assert from "node:assert/strict";
import { parseDuration } from "../../src/config/duration.ts";

Deno.test("parseDuration returns milliseconds for every unit", () => {
  assert.deepEqual(["0s", "500ms", "10s", "5m", "1h"].map(parseDuration), [
    0,
    500,
    10_000,
    300_000,
    3_600_000,
  ]);
});

Deno.test("parseDuration returns null when the text is no duration", () => {
  for (
    const text of ["", "10", "s", "-1s", "1.5s", "10 s", "1d", "1S", "1s ", "1h30m", `${"9".repeat(20)}s`]
  ) {
    assert.equal(parseDuration(text), null, text);
  }
});
