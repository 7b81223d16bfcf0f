/** Servers that are measured from outside: what the kernel says they used, nothing they say themselves. */

/** How a server is started. */
export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
  /** The port of 127.0.0.1 it is going to listen on, the last one if there are several. */
  readonly port: number;
}

/** A server process that is listening. Dispose of it with `await using` or a disposable stack. */
export class ServerProcess implements AsyncDisposable {
  readonly port: number;
  /** Milliseconds from spawn to the first connection taken. */
  readonly startMs: number;
  readonly #child: Deno.ChildProcess;

  private constructor(child: Deno.ChildProcess, port: number, startMs: number) {
    this.#child = child;
    this.port = port;
    this.startMs = startMs;
  }

  /**
   * Starts the server and waits until its port takes connections.
   *
   * @throws {Error} If it ends instead, with what it printed last, or does not listen in time.
   */
  static async start({ command, args, port }: ServerCommand): Promise<ServerProcess> {
    const startedAt = performance.now();
    const child = new Deno.Command(command, {
      args: [...args],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    track(child);
    const log = new LogTail(child.stderr);
    let hasEnded = false;
    child.status.then(() => hasEnded = true);
    while (!await takesConnections(port)) {
      const isLate = performance.now() - startedAt > START_TIMEOUT_MS;
      if (isLate && !hasEnded) child.kill("SIGKILL");
      if (isLate || hasEnded) {
        throw new Error(`Could not start "${command}" on port ${port}\n${await log.text()}`);
      }
      await sleep(START_POLL_MS);
    }
    return new ServerProcess(child, port, performance.now() - startedAt);
  }

  get pid(): number {
    return this.#child.pid;
  }

  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** CPU time of all its threads since it started, ended ones too; milliseconds, user and system. */
  cpuMs(): number {
    const stat = Deno.readTextFileSync(`/proc/${this.#child.pid}/stat`);
    // Behind the command name, which is in parentheses and may hold spaces, utime and stime are fields 14 and 15.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
  }

  /** Resident memory (VmRSS), in bytes. */
  rssBytes(): number {
    const status = Deno.readTextFileSync(`/proc/${this.#child.pid}/status`);
    const kib = status.match(/^VmRSS:\s+(\d+) kB$/m)?.[1];
    if (kib === undefined) throw new Error(`Cannot read VmRSS of process ${this.#child.pid}`);
    return Number(kib) * 1024;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    kill(this.#child, "SIGTERM");
    const timer = setTimeout(() => kill(this.#child, "SIGKILL"), STOP_TIMEOUT_MS);
    await this.#child.status;
    clearTimeout(timer);
  }
}

/** How much of the machine's time nobody uses, from when this is made. */
export class MachineTime {
  readonly #start = machineTicks();

  /** 0 to 1. */
  idleShare(): number {
    const [all, idle] = machineTicks();
    return (idle - this.#start[1]) / (all - this.#start[0]);
  }
}

/** All ticks of all CPUs since the machine started, and the idle ones among them. */
function machineTicks(): [all: number, idle: number] {
  // user, nice, system, idle, iowait, irq, softirq, steal; guests are counted as users, too (man 5 proc).
  const fields = Deno.readTextFileSync("/proc/stat").split("\n", 1)[0]!.split(/ +/).slice(1, 9).map(Number);
  return [fields.reduce((sum, ticks) => sum + ticks, 0), fields[3]! + fields[4]!];
}

/** Remembers a child process until it ends, for {@linkcode killAll}; after that one, it does not get far. */
export function track(child: Deno.ChildProcess): void {
  if (isEnding) kill(child, "SIGTERM");
  running.add(child);
  child.status.then(() => running.delete(child));
}

/** Ends the processes tracked, now and from now on. */
export function killAll(): void {
  isEnding = true;
  for (const child of running) kill(child, "SIGTERM");
}

let isEnding = false;
const running = new Set<Deno.ChildProcess>();

/** Sends a signal to a process this one has started, unless it has ended by itself. */
export function kill(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch {
    // It has ended.
  }
}

/** Resolves after `ms` milliseconds. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Reads a log to its end, so that its writer never waits, and keeps the last of it. */
class LogTail {
  #text = "";
  readonly #ended: Promise<void>;

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    const keep = (text: string) => {
      this.#text = (this.#text + text).slice(-LOG_CHARS);
    };
    this.#ended = stream.pipeThrough(new TextDecoderStream()).pipeTo(new WritableStream({ write: keep }));
  }

  async text(): Promise<string> {
    await this.#ended;
    return this.#text;
  }
}

async function takesConnections(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch {
    return false;
  }
}

// USER_HZ: 100 on every Linux that Deno runs on, whatever the kernel's own HZ (man 5 proc, sysconf(_SC_CLK_TCK)).
const MS_PER_TICK = 10;

const START_TIMEOUT_MS = 20_000;
const START_POLL_MS = 5;
const STOP_TIMEOUT_MS = 5_000;
const LOG_CHARS = 4_000;
