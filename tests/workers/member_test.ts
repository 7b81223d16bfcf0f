import assert from "node:assert/strict";
import { eventually } from "../support/closing_lines.ts";
import { fakeEngine } from "../support/fake_engine.ts";
import { Isolate } from "../../src/workers/isolate.ts";
import { Member, type MemberFailure } from "../../src/workers/member.ts";
import { isolateModule } from "./isolate_support.ts";

Deno.test("Member is answered by its worker, and hears when that has failed to", async () => {
  await using stage = open(`onmessage = ({ data: { id, name } }) => {
    if (name === "liveBytes") postMessage({ kind: "failed", id, error: "not now" });
    else postMessage({ kind: "answer", id, answer: name });
  };`);
  assert.equal(await stage.member.ask("drain", 0), "drain");
  await assert.rejects(stage.member.ask("liveBytes", null), { message: "not now" });
});

Deno.test("Member hands on every batch of events, in order", async () => {
  await using stage = open(`
    onmessage = ({ data: { id } }) => postMessage({ kind: "answer", id, answer: null });
    postMessage({ kind: "events", batch: { events: [{ event: "one" }, { event: "two" }], begun: 1 } });
    postMessage({ kind: "events", batch: { events: [{ event: "three" }], begun: 0 } });`);
  await stage.member.ask("ping", null);
  assert.deepEqual(stage.events, ["one", "two", "three"]);
});

Deno.test("Member lets the main isolate collect, too, when its worker has", async () => {
  using engine = fakeEngine();
  await using _stage = open(`postMessage({ kind: "collected" });`);
  await eventually(engine.collected, "a collection");
});

for (
  const [what, source, detail] of [
    ["throws", `setTimeout(() => { throw new Error("thrown"); });`, /thrown/],
    ["ends itself", `setTimeout(() => Deno.exit(3));`, /It has ended itself/],
    ["does not load", `throw new Error("not today");`, /not today/],
  ] as const
) {
  Deno.test(`Member reports a worker that ${what}, once, and answers nobody any more`, async () => {
    await using stage = open(source);
    const asked = assert.rejects(stage.member.ask("ping", null));
    const { detail: told, isHung } = await eventually(stage.failed, "the report");
    assert.match(told, detail);
    assert.equal(isHung, false);
    await asked;
    await assert.rejects(stage.member.ask("ping", null));
    assert.equal(stage.failures.length, 1);
  });
}

Deno.test("Member reports a worker that does not answer as hung", async () => {
  await using stage = open("setInterval(() => {}, 1_000)", 1);
  assert.deepEqual(await eventually(stage.failed, "the report"), {
    detail: "It has not answered for 15 ms",
    isHung: true,
  });
});

Deno.test("Member does not report a worker that was ended on purpose", async () => {
  const stage = open("");
  stage.member.terminate();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(stage.failures, []);
});

/** A worker that says hello, and then does as told. */
function open(source: string, pingIntervalMs = 60_000) {
  const failures: MemberFailure[] = [];
  const events: string[] = [];
  const failed = Promise.withResolvers<MemberFailure>();
  const member = new Member({
    isolate: new Isolate(isolateModule(source)),
    onEvents: (batch) => events.push(...batch.events.map(({ event }) => event)),
    onLent: () => {},
    onFailed: (failure) => {
      failures.push(failure);
      failed.resolve(failure);
    },
    pingIntervalMs,
  });
  return {
    member,
    events,
    failures,
    failed: failed.promise,
    [Symbol.asyncDispose]: () => Promise.resolve(member.terminate()),
  };
}
