import assert from "node:assert/strict";
import { LogWriter } from "../../src/observe/log_writer.ts";

const LINE = "x".repeat(1_000);

Deno.test("LogWriter writes lines whole and in order, however little the sink takes at a time", async () => {
  const sink = new SlowSink({ atMost: 3 });
  const writer = new LogWriter(sink, String);
  writer.write("one");
  writer.write("two");
  await writer.flush(FOREVER_MS);
  writer.write("three");
  await writer.flush(FOREVER_MS);
  assert.equal(sink.text, "one\ntwo\nthree\n");
});

Deno.test("LogWriter neither blocks nor grows while nobody reads, and says afterwards how much was dropped", async () => {
  const sink = new SlowSink({ isStalled: true });
  const writer = new LogWriter(sink, (count) => `dropped ${count}`);
  for (let i = 0; i < 5_000; i++) writer.write(LINE);
  await writer.flush(1);
  assert.equal(sink.text, "");
  sink.resume();
  await writer.flush(FOREVER_MS);
  const lines = sink.text.trimEnd().split("\n");
  const kept = lines.filter((line) => line === LINE).length;
  assert.ok(kept <= 1_048, `${kept} lines were kept`);
  assert.deepEqual(lines.slice(kept), [`dropped ${5_000 - kept}`]);
  writer.write("again");
  await writer.flush(FOREVER_MS);
  assert.ok(sink.text.endsWith("\nagain\n"));
});

Deno.test("LogWriter survives a reader that has gone", async () => {
  const writer = new LogWriter({ write: () => Promise.reject(new Deno.errors.BrokenPipe()) }, String);
  writer.write("one");
  await writer.flush(FOREVER_MS);
  writer.write("two");
  await writer.flush(FOREVER_MS);
});

/** Takes a few bytes at a time, or nothing until `resume`. */
class SlowSink {
  text = "";
  readonly #atMost: number;
  readonly #resumed = Promise.withResolvers<void>();

  constructor(options: { readonly atMost?: number; readonly isStalled?: boolean }) {
    this.#atMost = options.atMost ?? Infinity;
    if (!options.isStalled) this.resume();
  }

  resume(): void {
    this.#resumed.resolve();
  }

  async write(bytes: Uint8Array): Promise<number> {
    await this.#resumed.promise;
    const taken = bytes.subarray(0, this.#atMost);
    this.text += new TextDecoder().decode(taken);
    return taken.length;
  }
}

const FOREVER_MS = 60_000;
