/** pgtls as a process of its own, whose open files and memory can be counted apart from the test's. Linux only. */
import { join } from "node:path";
import { stringify } from "smol-toml";
import { until } from "./closing_lines.ts";
import { pgtlsCommand } from "./pgtls.ts";
import { startProcess } from "./process.ts";
import { type RouteTables, writeTables } from "./proxy.ts";

/** One line of its log. */
export interface LogLine {
  readonly event: string;
  readonly [field: string]: unknown;
}

/** A pgtls that is listening. Dispose of it with `await using`. */
export interface PgtlsProcess extends AsyncDisposable {
  readonly pid: number;
  /** The port of each route, in the order given. */
  readonly ports: readonly number[];
  /** Its log so far. */
  lines(): LogLine[];
  openFiles(): number;
  /** Resident memory. */
  memoryBytes(): number;
  /** Waits until no more files are open than `count`. */
  backTo(count: number): Promise<void>;
}

/** Starts it with `workers = 1` unless `top` says otherwise, and waits until it listens. */
export async function startPgtlsProcess(
  routes: readonly RouteTables[],
  top: Readonly<Record<string, unknown>> = {},
): Promise<PgtlsProcess> {
  const dir = await Deno.makeTempDir({ prefix: "pgtls-process-" });
  const config = join(dir, "pgtls.toml");
  const proxy = await Promise.all(routes.map((route, i) => writeTables(dir, route, i)));
  await Deno.writeTextFile(config, stringify({ workers: 1, log_format: "json", ...top, proxy }));
  const { command, args } = pgtlsCommand("run", "-c", config);
  const child = startProcess(command, args, { env: { NO_COLOR: "1" } });
  const lines = () => {
    // The last line may not be whole yet.
    const whole = child.output().stderr.split("\n").slice(0, -1).filter((line) => line.startsWith("{"));
    return whole.map((line) => JSON.parse(line) as LogLine);
  };
  const openFiles = () => [...Deno.readDirSync(`/proc/${child.pid}/fd`)].length;
  try {
    await child.waitFor(/"server\.started"/);
    const bound = lines().filter(({ event }) => event === "listener.bound");
    return {
      pid: child.pid,
      ports: bound.map(({ address }) => Number(String(address).split(":").at(-1))),
      lines,
      openFiles,
      memoryBytes: () =>
        Number(/VmRSS:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${child.pid}/status`))![1]) * 1024,
      backTo: (count) => until(() => openFiles() <= count, `open files to be back at ${count}`),
      async [Symbol.asyncDispose]() {
        await child.stop();
        await Deno.remove(dir, { recursive: true });
      },
    };
  } catch (error) {
    await child.stop();
    await Deno.remove(dir, { recursive: true });
    throw error;
  }
}
