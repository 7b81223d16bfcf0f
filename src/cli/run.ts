/** `pgtls run`: load, check, listen; then serve until a signal says otherwise. */

import { formatProblem, type Problem } from "../errors.ts";
import type { Observer } from "../observe/events.ts";
import { RunningProxy } from "../proxy.ts";
import { FileWatch } from "../reload/file_watch.ts";
import { ServiceManager } from "../systemd/service_manager.ts";
import { EXIT, reportError } from "./report.ts";

/** Runs the proxy until SIGTERM or SIGINT has drained it. Returns the exit code. */
export async function runProxy(options: { readonly config: string }): Promise<number> {
  // Before anything else: a signal that comes while starting must not meet its default action.
  const stopped = stopSignal();
  const hangUps = hangUpSignals();
  try {
    const proxy = await RunningProxy.start(options.config);
    guardProcess(proxy.observe);
    const onChange = async () => void await proxy.refresh();
    const watch = new FileWatch({ paths: () => proxy.watchedFiles, onChange });
    watch.start();
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
    await stopped;
    watch.stop();
    manager.stopping(`Draining ${count(proxy.connections, "connection")}`, proxy.config.drainTimeoutMs);
    await proxy.drain();
    return EXIT.ok;
  } catch (error) {
    return reportError(error);
  }
}

/** The first of some problems, and how many more there are, for one line of `systemctl status`. */
function told([first, ...others]: readonly Problem[]): string {
  const text = first === undefined ? "" : formatProblem(first).trim();
  return others.length === 0 ? text : `${text} (and ${count(others.length, "other problem")})`;
}

/** What nobody caught is a bug of ours; it is said, and the other connections live on. */
function guardProcess(observe: Observer): void {
  const report = (error: unknown) => {
    const stack = error instanceof Error ? error.stack ?? "" : "";
    observe({ event: "server.failed", error: String(error), stack });
  };
  addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    report(event.reason);
  });
  addEventListener("error", (event) => {
    event.preventDefault();
    report(event.error);
  });
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
