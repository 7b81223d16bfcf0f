import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Observation } from "../../src/observe/observation.ts";
import { freshlyLoaded } from "../../src/observe/reload_state.ts";
import { run } from "../support/process.ts";
import { parseExposition, valueOf } from "../support/prometheus.ts";
import { factsOf, lifeOf } from "./events_support.ts";

Deno.test("Observation of 10,000 closed connections leaves no growth, scrapes and listeners included", async () => {
  const script = fileURLToPath(import.meta.url);
  const { stdout, stderr, code } = await run(Deno.execPath(), [
    "run",
    "-A",
    "--no-check",
    "--quiet",
    "--v8-flags=--expose-gc",
    script,
    "grow",
  ]);
  assert.equal(code, 0, stderr);
  const [full, later] = JSON.parse(stdout) as [number, number];
  // The history is full after the first 2,000; 10,000 more, of 3 KB each, may not add to it.
  assert.ok(later - full < 3_000_000, `${full} and then ${later} bytes`);
});

Deno.test("Observation answers a scrape although nobody can say what is being relayed", async () => {
  for (const liveBytes of [() => Promise.reject(new Error("gone")), () => new Promise<never>(() => {})]) {
    const observation = new Observation({
      liveBytes,
      routes: () => [{ name: "orders", limit: 0 }],
      reloadState: () => freshlyLoaded(),
      workers: () => 1,
    });
    lifeOf("c-1").forEach(observation.observe);
    const labels = { route: "orders", direction: "from_client" };
    const families = parseExposition(await observation.metrics.render());
    assert.equal(valueOf(families, "pgtls_relay_bytes_total", labels), 100);
  }
});

if (import.meta.main && Deno.args[0] === "grow") {
  const { gc } = globalThis as unknown as { gc(): void };
  const open = new Map<string, { from_client: number; from_backend: number }>();
  const observation = new Observation({
    liveBytes: () => Promise.resolve(open),
    routes: () => [{ name: "orders", limit: 0 }],
    reloadState: () => freshlyLoaded(),
    workers: () => 1,
  });
  let heard = 0;
  observation.feed.listen((message) => heard += message.length, "debug");
  const used = async (from: number, to: number): Promise<number> => {
    for (let i = from; i < to; i++) {
      const connection = `c-${i}`;
      const tls = { ...factsOf(), serverCert: serial(i), clientChain: [serial(i), serial(i)] };
      const life = lifeOf(connection, { client_tls: tls, backend_tls: tls, user: `user ${i}` });
      open.set(connection, { from_client: 5, from_backend: 5 });
      life.slice(0, -1).forEach(observation.observe);
      if (i % 100 === 0) await observation.metrics.render();
      observation.observe(life.at(-1)!);
      open.delete(connection);
    }
    // Buffers are given back a moment after the object that held them.
    for (let round = 0; round < 3; round++) {
      gc();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const { heapUsed, external } = Deno.memoryUsage();
    return heapUsed + external;
  };
  const full = await used(0, 2_000);
  const later = await used(2_000, 12_000);
  console.log(JSON.stringify([full, later]));
}

/** Bytes like no others. */
function serial(number: number): Uint8Array {
  const bytes = new Uint8Array(1_000);
  new DataView(bytes.buffer).setUint32(0, number);
  return bytes;
}
