/** `pgtls run` as a process, with its log as events: for what only a whole process does, such as workers. */
import { fileURLToPath } from "node:url";
import { until } from "./closing_lines.ts";
import { pgtlsCommand } from "./pgtls.ts";
import { type RunResult, startProcess, type TestProcess } from "./process.ts";
import { replaceFile, type RouteTables, type TopTables, writeConfig } from "./proxy.ts";

/** A line of the log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly event: string };

/** A process that is listening. Dispose of it with `await using`. */
export interface ProxyProcess extends AsyncDisposable {
  readonly process: TestProcess;
  readonly dir: string;
  /** Lines of the log with this event, so far. */
  lines(event: string): LogLine[];
  /** Waits until there are `count` of them. */
  waitFor(event: string, count?: number): Promise<LogLine[]>;
  /** The port of a route, as last bound. */
  port(route: string): number;
  /** Rewrites the configuration file, as {@linkcode startProxyProcess} wrote it. */
  configure(...routes: readonly RouteTables[]): Promise<void>;
  /** Puts a file in the place of another, in one step. */
  replace(name: string, content: string): Promise<string>;
  /** SIGHUP, and waits for what comes of it. */
  reload(): Promise<LogLine>;
  stop(): Promise<RunResult>;
}

/** Starts it with two workers, unless `top` says otherwise, and a log of level debug. */
export function startProxyProcess(
  top: TopTables,
  ...routes: readonly RouteTables[]
): Promise<ProxyProcess> {
  return start((file) => pgtlsCommand("run", "-c", file), { workers: 2, log_level: "debug", ...top }, routes);
}

/** As {@linkcode startProxyProcess}, with workers that die when `0 exit`, `0 loop` or `0 throw` is written to stdin. */
export function startMortalProxy(...routes: readonly RouteTables[]): Promise<ProxyProcess> {
  return startMortal([], routes);
}

/** The same, which takes a worker for hung after 3 s already: a busy machine may hold up one that is well for a second. */
export function startImpatientProxy(...routes: readonly RouteTables[]): Promise<ProxyProcess> {
  return startMortal(["200"], routes);
}

function startMortal(args: readonly string[], routes: readonly RouteTables[]): Promise<ProxyProcess> {
  const main = fileURLToPath(new URL("./mortal_main.ts", import.meta.url));
  const command = (file: string) => ({
    command: Deno.execPath(),
    args: ["run", "--quiet", "-A", main, file, ...args],
  });
  return start(command, { workers: 2, log_level: "debug" }, routes);
}

async function start(
  commandFor: (file: string) => { command: string; args: string[] },
  top: TopTables,
  routes: readonly RouteTables[],
): Promise<ProxyProcess> {
  const dir = await Deno.makeTempDir({ prefix: "pgtls-process-" });
  const { command, args } = commandFor(await writeConfig(dir, routes, { log_format: "json", ...top }));
  const process = startProcess(command, args, { env: { NO_COLOR: "1" } });
  const all = () => process.output().stderr.split("\n").slice(0, -1).flatMap(parse);
  const lines = (event: string) => all().filter((line) => line.event === event);
  const dispose = async () => {
    await process.stop();
    await Deno.remove(dir, { recursive: true });
  };
  const waitFor = async (event: string, count = 1) => {
    await until(() => lines(event).length >= count, `${count} lines of ${event}`);
    return lines(event);
  };
  try {
    await process.waitFor(/"server\.started"/);
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    process,
    dir,
    lines,
    waitFor,
    port: (route) => {
      const bound = lines("listener.bound").findLast((line) => line["route"] === route);
      return Number(String(bound?.["address"]).split(":").at(-1));
    },
    configure: async (...tables) => void await writeConfig(dir, tables, { log_format: "json", ...top }),
    replace: (name, content) => replaceFile(`${dir}/${name}`, content),
    async reload() {
      const outcomes = () => [...lines("config.reloaded"), ...lines("config.reload_failed")];
      const before = outcomes().length;
      Deno.kill(process.pid, "SIGHUP");
      await until(() => outcomes().length > before, "the outcome of a reload");
      return all().findLast(({ event }) => event.startsWith("config.reload"))!;
    },
    stop: () => process.stop(),
    [Symbol.asyncDispose]: dispose,
  };
}

function parse(line: string): LogLine[] {
  // What is not a line of the log is the runtime's own, such as the trace of an error nobody caught.
  return line.startsWith("{") ? [JSON.parse(line)] : [];
}
