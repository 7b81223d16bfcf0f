/** `pgtls run`: load, check, listen; then serve until a signal says otherwise. */

import { formatProblem, type Problem } from "../errors.ts";
import { flushLog } from "../observe/log.ts";
import { RunningProxy, type StartOptions } from "../proxy.ts";
import { FileWatch } from "../reload/file_watch.ts";
import { guardIsolate } from "../server/guard.ts";
import { ServiceManager } from "../systemd/service_manager.ts";
import { EXIT, reportError } from "./report.ts";

/** Runs the proxy until SIGTERM or SIGINT has drained it. Returns the exit code. */
export async function runProxy(
  { config, ...start }: StartOptions & { readonly config: string },
): Promise<number> {
  // Before anything else: a signal that comes while starting must not meet its default action.
  const stopped = stopSignal();
  const hangUps = hangUpSignals();
  try {
    const proxy = await RunningProxy.start(config, start).finally(() => start.workers?.isolates?.end());
    guardIsolate(proxy.observe);
    const onChange = async () => void await proxy.refresh();
    const watch = new FileWatch({ paths: () => proxy.watchedFiles, onChange });
    watch.start();
    const reminder = setInterval(() => proxy.remind(), DAY_MS);
    const report = (message: string) =>
      proxy.observe({ event: "config.warning", problem: { path: "", message } });
    await using manager = new ServiceManager({ report });
    const serving = () => `Serving ${count(proxy.config.routes.length, "route")}`;
    manager.ready(serving());
    hangUps.listen(async () => {
      manager.reloading();
      const { problems } = (await proxy.reload()).last;
      manager.ready(problems.length === 0 ? serving() : `${serving()}, not all as asked: ${told(problems)}`);
    });
    const isBroken = await Promise.race([stopped, proxy.broken.then(() => true)]) === true;
    watch.stop();
    clearInterval(reminder);
    manager.stopping(`Draining ${count(proxy.connections, "connection")}`, proxy.config.drainTimeoutMs);
    await proxy.drain();
    // Whoever started pgtls starts it again.
    return isBroken ? EXIT.failed : EXIT.ok;
  } catch (error) {
    return reportError(error);
  } finally {
    await flushLog();
  }
}

/** The first of some problems, and how many more there are, for one line of `systemctl status`. */
function told([first, ...others]: readonly Problem[]): string {
  const text = first === undefined ? "" : formatProblem(first).trim();
  return others.length === 0 ? text : `${text} (and ${count(others.length, "other problem")})`;
}

/** Keeps SIGHUP from ending the process. One that comes before anybody listens is told to the first who does. */
function hangUpSignals(): { listen(listener: () => void): void } {
  let hasCome = false;
  let current = () => {
    hasCome = true;
  };
  Deno.addSignalListener("SIGHUP", () => current());
  return {
    listen(listener) {
      current = listener;
      if (hasCome) listener();
      hasCome = false;
    },
  };
}

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
export function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    let isStopping = false;
    const onSignal = () => {
      if (isStopping) Deno.exit(EXIT.failed);
      isStopping = true;
      resolve();
    };
    Deno.addSignalListener("SIGTERM", onSignal);
    Deno.addSignalListener("SIGINT", onSignal);
  });
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

// As often as somebody who is on call wants to read it.
const DAY_MS = 24 * 60 * 60 * 1000;
