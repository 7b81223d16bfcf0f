/** Programs run by tests: a line of output is waited for, never a length of time. */

/** What a finished program left behind. */
export interface RunResult {
  /** The exit code; 128 + signal number when a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a program is run. */
export interface RunOptions {
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Start from an empty environment. @default false */
  readonly clearEnv?: boolean;
  readonly cwd?: string;
}

/** A program that is running. Dispose of it (`await using`) or call {@linkcode TestProcess.stop}. */
export interface TestProcess extends AsyncDisposable {
  readonly pid: number;
  /** Resolves when it has ended and all its output is read. */
  readonly exited: Promise<RunResult>;
  /** Everything printed so far. */
  output(): { readonly stdout: string; readonly stderr: string };
  /**
   * Waits until stdout or stderr matches.
   *
   * @throws {Error} If the program ends, or `timeoutMs` (60 s) passes, without a match. Shows the output.
   */
  waitFor(pattern: RegExp, timeoutMs?: number): Promise<RegExpMatchArray>;
  /** Writes to its stdin. */
  write(text: string | Uint8Array<ArrayBuffer>): Promise<void>;
  /** Ends its stdin. */
  closeInput(): Promise<void>;
  /** Signals it, if it still runs, and waits for its end; SIGKILL after `KILL_AFTER_MS`. */
  stop(signal?: Deno.Signal): Promise<RunResult>;
}

/** Starts a program with piped stdin, stdout and stderr. */
export function startProcess(
  command: string,
  args: readonly string[] = [],
  options: RunOptions = {},
): TestProcess {
  const child = new Deno.Command(command, {
    args: [...args],
    ...options,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  return new RunningProcess([command, ...args].join(" "), child);
}

/** Runs a program to its end, with `input` as its stdin. */
export async function run(
  command: string,
  args: readonly string[] = [],
  options: RunOptions & { readonly input?: string } = {},
): Promise<RunResult> {
  const { input, ...rest } = options;
  const process = startProcess(command, args, rest);
  // A program that ends without reading its stdin breaks the pipe; its exit code says more than that.
  if (input !== undefined) await process.write(input).catch(() => {});
  await process.closeInput();
  return await process.exited;
}

class RunningProcess implements TestProcess {
  readonly pid: number;
  readonly exited: Promise<RunResult>;
  readonly #command: string;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #watchers = new Set<() => void>();
  #stdout = "";
  #stderr = "";
  #ended = false;

  constructor(command: string, child: Deno.ChildProcess) {
    this.pid = child.pid;
    this.#command = command;
    this.#child = child;
    this.#input = child.stdin.getWriter();
    this.#input.closed.catch(() => {});
    this.exited = this.#finish();
  }

  output(): { stdout: string; stderr: string } {
    return { stdout: this.#stdout, stderr: this.#stderr };
  }

  waitFor(pattern: RegExp, timeoutMs = WAIT_MS): Promise<RegExpMatchArray> {
    return new Promise((resolve, reject) => {
      const settle = (action: () => void): void => {
        clearTimeout(timer);
        this.#watchers.delete(look);
        action();
      };
      const fail = (why: string): void => settle(() => reject(new Error(this.#describe(pattern, why))));
      const look = (): void => {
        const match = this.#stdout.match(pattern) ?? this.#stderr.match(pattern);
        if (match !== null) settle(() => resolve(match));
        else if (this.#ended) fail("ended");
      };
      const timer = setTimeout(() => fail(`printed nothing like it for ${timeoutMs} ms`), timeoutMs);
      this.#watchers.add(look);
      look();
    });
  }

  async write(text: string | Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#input.write(typeof text === "string" ? new TextEncoder().encode(text) : text);
  }

  async closeInput(): Promise<void> {
    await this.#input.close().catch(() => {});
  }

  async stop(signal: Deno.Signal = "SIGTERM"): Promise<RunResult> {
    this.#signal(signal);
    const timer = setTimeout(() => this.#signal("SIGKILL"), KILL_AFTER_MS);
    await this.closeInput();
    const result = await this.exited;
    clearTimeout(timer);
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #signal(signal: Deno.Signal): void {
    if (this.#ended) return;
    try {
      this.#child.kill(signal);
    } catch (error) {
      // It ended by itself a moment ago.
      if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  async #finish(): Promise<RunResult> {
    const [status] = await Promise.all([
      this.#child.status,
      this.#collect(this.#child.stdout, (text) => this.#stdout += text),
      this.#collect(this.#child.stderr, (text) => this.#stderr += text),
    ]);
    this.#ended = true;
    await this.closeInput();
    this.#notify();
    return { code: status.code, stdout: this.#stdout, stderr: this.#stderr };
  }

  async #collect(
    stream: ReadableStream<Uint8Array<ArrayBuffer>>,
    add: (text: string) => void,
  ): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      add(text);
      this.#notify();
    }
  }

  #notify(): void {
    for (const look of [...this.#watchers]) look();
  }

  #describe(pattern: RegExp, why: string): string {
    return `Could not see ${pattern} in the output of "${this.#command}": it ${why}\n` +
      `--- stdout\n${this.#stdout}\n--- stderr\n${this.#stderr}`;
  }
}

/** Only a guard against a test that hangs: far longer than anything a test starts takes. */
const WAIT_MS = 60_000;

/** How long a program may take to obey a signal: it may have sessions to finish. */
const KILL_AFTER_MS = 60_000;
