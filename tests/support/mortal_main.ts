/**
 * `pgtls run` with workers that die on demand: `0 exit` on stdin ends worker 0 in that way. The program itself knows
 * nothing of it: it only starts another module as its workers. A second argument says how often they are asked, in ms.
 */
import { runProxy } from "../../src/cli/run.ts";

const [config, pingIntervalMs] = Deno.args;
const channel = new BroadcastChannel("mortal");
hear();
const exitCode = await runProxy({
  config: config!,
  workers: {
    module: new URL("./mortal_worker.ts", import.meta.url).href,
    ...(pingIntervalMs && { pingIntervalMs: Number(pingIntervalMs) }),
  },
});
Deno.exit(exitCode);

/** One order at a time: a test waits for what comes of it. */
async function hear(): Promise<void> {
  for await (const order of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    channel.postMessage(order.trim());
  }
}
