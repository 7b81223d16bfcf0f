/**
 * A session that has lasted for a moment lets go of its sockets and gets new ones to end with. Here the moment is next
 * to nothing, so that sessions rest before, between and behind the bytes of every test of the relay, run once more.
 */
import assert from "node:assert/strict";

const { setInterval } = globalThis;
let looks = 0;
globalThis.setInterval = ((callback: () => void, ms: number) => {
  if (callback.name !== "lookForResting") return setInterval(callback, ms);
  looks++;
  return setInterval(callback, 1);
}) as typeof setInterval;

await import("../connection/relay_test.ts");
await import("./half_close_test.ts");
await import("./slow_reader_test.ts");
await import("./bytes_survive_back_pressure_test.ts");
await import("./sessions_share_no_bytes_test.ts");
await import("./lost_connection_test.ts");
await import("./the_last_words_of_a_backend_test.ts");
await import("./drain_test.ts");
await import("./idle_timeout_test.ts");
await import("./no_leaks_test.ts");
await import("./floods_are_bounded_test.ts");

Deno.test("the sessions of the tests above have been made to rest", () => {
  assert.ok(looks > 0);
});
