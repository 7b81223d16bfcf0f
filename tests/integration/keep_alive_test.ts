/** A peer that vanished without a word is asked for after a minute of silence, on both legs (Linux tells by /proc). */
import assert from "node:assert/strict";
import { startCountingBackend } from "../support/counting_backend.ts";
import { bytesOf } from "../wire/bytes.ts";
import { connectRaw, startupMessage } from "../support/raw_client.ts";
import { startTestProxy } from "../support/proxy.ts";
import { routeTo } from "../support/two_legs.ts";

Deno.test(
  { name: "TCP keep-alive starts within a minute on both legs", ignore: Deno.build.os !== "linux" },
  async () => {
    await using backend = await startCountingBackend();
    await using proxy = await startTestProxy({
      listener: routeTo(1, "clear").listener,
      backend: backend.backend,
    });
    await using client = await connectRaw(proxy.ports[0]!);
    await client.send(startupMessage());
    assert.deepEqual(await client.read(1), bytesOf("R"));
    const backendPort = Number(backend.backend.address.split(":")[1]);
    assert.ok(await seconds({ local: proxy.ports[0]! }) <= 60, "towards the client");
    assert.ok(await seconds({ remote: backendPort }) <= 60, "towards the backend");
    client.socket.destroy();
    await proxy.closed(1);
  },
);

/** In how many seconds the connection's keep-alive timer ends; Infinity without one. Others may be pending for a moment. */
async function seconds(ports: { readonly local?: number; readonly remote?: number }): Promise<number> {
  for (let i = 0; i < 100; i++) {
    const [, ...lines] = (await Deno.readTextFile("/proc/net/tcp")).trim().split("\n");
    const fields = lines.map((line) => line.trim().split(/\s+/)).find(([, local, remote, state]) =>
      state === ESTABLISHED && (ports.local === undefined || portOf(local) === ports.local) &&
      (ports.remote === undefined || portOf(remote) === ports.remote)
    );
    const [kind, jiffies] = fields![5]!.split(":");
    if (kind === KEEP_ALIVE_TIMER) return Number.parseInt(jiffies!, 16) / JIFFIES;
    if (kind === NO_TIMER) return Infinity;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return Infinity;
}

function portOf(address: string | undefined): number {
  return Number.parseInt(address!.split(":")[1]!, 16);
}

const ESTABLISHED = "01";
const KEEP_ALIVE_TIMER = "02";
const NO_TIMER = "00";

/** USER_HZ, the same on every machine Deno runs on. */
const JIFFIES = 100;
