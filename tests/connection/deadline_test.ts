import assert from "node:assert/strict";
import { Deadline } from "../../src/connection/deadline.ts";
import { StageError } from "../../src/errors.ts";

Deno.test("Deadline aborts its signal with the reason it was made with", async () => {
  const { signal } = new Deadline(1, "startup_timeout", "No StartupMessage in time");
  await aborted(signal);
  assert.ok(signal.reason instanceof StageError);
  assert.equal(signal.reason.reason, "startup_timeout");
  assert.equal(signal.reason.message, "No StartupMessage in time");
});

Deno.test("Deadline does not abort once it is cleared", async () => {
  const cleared = new Deadline(1, "startup_timeout", "late");
  cleared.clear();
  await aborted(new Deadline(20, "startup_timeout", "later").signal);
  assert.equal(cleared.signal.aborted, false);
});

Deno.test("Deadline.abort() ends the wait for another reason, and time changes nothing about it", async () => {
  const deadline = new Deadline(1, "startup_timeout", "late");
  const error = new StageError("server_draining", "pgtls is shutting down");
  deadline.abort(error);
  assert.equal(deadline.signal.reason, error);
  await aborted(new Deadline(20, "startup_timeout", "later").signal);
  assert.equal(deadline.signal.reason, error);
});

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
}
