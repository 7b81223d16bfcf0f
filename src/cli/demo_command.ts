/** Joins the demo with the proxy itself. */

import { launcherGone } from "../demo/launchers.ts";
import { type DemoOptions, type DemoProxy, runDemo } from "./demo.ts";
import { RunningProxy } from "../proxy.ts";
import { EXIT } from "./report.ts";
import { stopSignal } from "./run.ts";

/** `pgtls demo`, with the port as it stands on the command line. */
export async function runDemoCommand(options: { readonly port?: string }): Promise<number> {
  const port = options.port === undefined ? undefined : Number(options.port);
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
    console.error(`Cannot use port "${options.port}": expected a number from 0 to 65535`);
    return EXIT.usage;
  }
  const demo: DemoOptions = port === undefined ? {} : { port };
  const watch = new AbortController();
  const stopped = () => Promise.race([stopSignal(), launcherGone(watch.signal)]);
  try {
    return await runDemo(demo, { startProxy: startDemoProxy, stopSignal: stopped });
  } finally {
    watch.abort();
  }
}

async function startDemoProxy(configFile: string): Promise<DemoProxy> {
  const proxy = await RunningProxy.start(configFile);
  return { addresses: proxy.addresses, stop: async () => void await proxy.drain(0) };
}
