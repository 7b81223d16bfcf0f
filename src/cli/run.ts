/** `pgtls run`: load, check, listen; then serve until a signal says otherwise. */

import type { Config } from "../config/types.ts";
import { load } from "../load.ts";
import { startLog } from "../observe/log.ts";
import type { Observer } from "../observe/events.ts";
import { Server } from "../server.ts";
import { ServiceManager } from "../systemd/service_manager.ts";
import { VERSION } from "../version.ts";
import { EXIT, reportError } from "./report.ts";

/** A proxy started from a configuration file. */
export interface Running {
  readonly config: Config;
  readonly server: Server;
  readonly observe: Observer;
}

/** Options of {@linkcode startProxy}. */
export interface StartOptions {
  /** Replaces the log of the configuration, for the demo and for tests. */
  readonly observe?: Observer;
}

/**
 * Loads and checks everything the file names, then binds every listener.
 *
 * @throws {ConfigError} With every problem found; nothing has been started then.
 */
export async function startProxy(file: string, options: StartOptions = {}): Promise<Running> {
  const loaded = await load(file);
  const { config, material } = loaded;
  const observe = options.observe ?? startLog({ level: config.logLevel, format: config.logFormat });
  observe({ event: "config.loaded", file: config.file, routes: config.routes.length });
  for (const problem of material.warnings) observe({ event: "config.warning", problem });
  const server = await Server.start(loaded, observe);
  observe({ event: "server.started", version: VERSION });
  return { config, server, observe };
}

/** Runs the proxy until SIGTERM or SIGINT has drained it. Returns the exit code. */
export async function runProxy(options: { readonly config: string }): Promise<number> {
  // Before anything else: a signal that comes while starting must not meet its default action.
  const stopped = stopSignal();
  const hangUp = hangUpSignal();
  try {
    const { config, server, observe } = await startProxy(options.config);
    guardProcess(observe);
    const warn = (message: string) => observe({ event: "config.warning", problem: { path: "", message } });
    await using manager = new ServiceManager({ report: warn });
    manager.ready(`Serving ${count(config.routes.length, "route")}`);
    hangUp.then(() => warn(NO_RELOAD));
    await stopped;
    manager.stopping(`Draining ${count(server.connections, "connection")}`, config.drainTimeoutMs);
    await server.drain(config.drainTimeoutMs);
    return EXIT.ok;
  } catch (error) {
    return reportError(error);
  }
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

/** Keeps SIGHUP from ending the process, and resolves at the first one. */
function hangUpSignal(): Promise<void> {
  return new Promise((resolve) => Deno.addSignalListener("SIGHUP", () => resolve()));
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

const NO_RELOAD = "Cannot reload on SIGHUP in this version: expected a restart";
