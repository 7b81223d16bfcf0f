import assert from "node:assert/strict";
import { Deadline } from "../../src/connection/deadline.ts";
import { LentBackends } from "../../src/connection/lent_backends.ts";
import { Progress } from "../../src/connection/progress.ts";
import type { Session } from "../../src/connection/session.ts";
import { StageError } from "../../src/errors.ts";

const STOP = new StageError("app_failed", "App decided twice");

Deno.test("Progress ends the stage that begins after it was stopped between two", () => {
  const progress = makeProgress();
  const first = progress.stoppedBy(new Deadline(60_000, "startup_timeout", "late"));
  first.clear();
  progress.stop(STOP);
  const second = progress.stoppedBy(new Deadline(60_000, "backend_timeout", "late"));
  assert.equal(second.signal.aborted, true);
  assert.equal(second.signal.reason, STOP);
});

Deno.test("Progress ends the session that begins after it was stopped", () => {
  const progress = makeProgress();
  progress.stop(STOP);
  const ends: StageError[] = [];
  progress.relaying({ end: (error: StageError) => ends.push(error) } as unknown as Session);
  assert.deepEqual(ends, [STOP]);
});

Deno.test("LentBackends knows each lender once, by the route that borrowed", () => {
  const lent = new LentBackends();
  for (const lender of ["two", "three", "two"]) lent.note("one", lender);
  assert.deepEqual(lent.lendersTo("one"), ["two", "three"]);
  assert.deepEqual(lent.lendersTo("two"), []);
});

function makeProgress(): Progress {
  const accepted = {
    id: "c-1",
    client: "127.0.0.1:1",
    acceptedAt: 0,
    endpoint: { onlyRoute: null },
    socket: {},
  };
  return new Progress(accepted as never, {
    observe: () => {},
    connections: new Set(),
    findRoute: () => undefined,
    lentBackends: new LentBackends(),
  });
}

Deno.test("Progress and its sockets are let go of, also when its app never returns", async () => {
  const program = new URL("../support/stuck_apps.ts", import.meta.url).href;
  const args = ["run", "-A", "--quiet", "--no-check", "--v8-flags=--expose-gc", program];
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  assert.equal(new TextDecoder().decode(stdout), "5 stuck, 0 held\n", new TextDecoder().decode(stderr));
});
