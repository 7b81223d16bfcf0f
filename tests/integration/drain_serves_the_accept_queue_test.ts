/**
 * Who has connected before a drain is served, also when the kernel has completed the connection and nobody has
 * accepted it yet. (The naive close answers these clients with a reset.)
 */
import assert from "node:assert/strict";
import { admit, DONE, READY, startFakeBackend, WELCOME } from "../support/fake_backend.ts";
import { bytesOf } from "../wire/bytes.ts";
import { closingLines, eventually } from "../support/closing_lines.ts";
import { query, startupMessage } from "../support/raw_client.ts";
import { startProxyTo } from "../support/two_legs.ts";

const CLIENTS = 40;
const QUERY = query("SELECT");

Deno.test("clients waiting in the accept queue when a drain begins are accepted, and get an answer to their query", async () => {
  await using backend = await startFakeBackend(async (peer) => {
    await admit(peer);
    await peer.read(QUERY.length);
    await peer.send(bytesOf(DONE, READY));
  });
  await using proxy = await startProxyTo(backend.port, "clear");
  const connected = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(CLIENT_SOURCE, { type: "module" });
  try {
    const answers = new Promise<string[]>((resolve) => worker.onmessage = ({ data }) => resolve(data));
    const hello = bytesOf(startupMessage(), QUERY);
    worker.postMessage({ port: proxy.ports[0], connected, count: CLIENTS, hello });
    // This thread accepts nothing while it waits, so all of them stay with the kernel.
    for (let n = 0; n < CLIENTS; n = Atomics.load(connected, 0)) {
      assert.notEqual(Atomics.wait(connected, 0, n, 60_000), "timed-out", `only ${n} clients connected`);
    }
    assert.equal(proxy.connections(), 0);
    const drained = proxy.drain(60_000);
    const answer = [...WELCOME, ...DONE, ...READY].map((byte) => String.fromCharCode(byte)).join("");
    for (const text of await eventually(answers, "the answers")) {
      assert.ok(text.startsWith(answer), `expected the answer, got ${JSON.stringify(text)}`);
      assert.match(text.slice(answer.length), /^E.*57P01/);
    }
    assert.equal(await eventually(drained, "the drain"), 0);
    assert.equal((await closingLines(proxy)).length, CLIENTS);
  } finally {
    worker.terminate();
  }
});

/** Connects, counts, says everything at once, and reads to the end. */
const CLIENT_SOURCE = `data:application/javascript,${
  encodeURIComponent(`
  self.onmessage = async ({ data: { port, connected, count, hello } }) => {
    const one = async () => {
      const client = await Deno.connect({ hostname: "127.0.0.1", port });
      Atomics.add(connected, 0, 1);
      Atomics.notify(connected, 0);
      try {
        await client.write(hello);
        let text = "";
        const buffer = new Uint8Array(4096);
        for (let n; (n = await client.read(buffer)) !== null;) text += String.fromCharCode(...buffer.subarray(0, n));
        return text;
      } catch (error) {
        return String(error);
      } finally {
        client.close();
      }
    };
    self.postMessage(await Promise.all(Array.from({ length: count }, one)));
  };
`)
}`;
