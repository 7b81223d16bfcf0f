/** Our own client programs: processes that end when their standard input does, so that they cannot outlive a benchmark. */

import { fileURLToPath } from "node:url";
import { kill, track } from "./process.ts";

/** A client program that is running. Dispose of it with `await using`. */
export class ClientProgram implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #lines: AsyncIterator<string>;

  /** @param file Of this folder. */
  constructor(file: string, args: readonly (string | number)[]) {
    const program = fileURLToPath(new URL(file, import.meta.url));
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", ...PERMISSIONS, program, ...args.map(String)],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    track(this.#child);
    this.#lines = linesOf(this.#child.stdout);
  }

  /** The next line it prints, or `null` when it has ended. */
  async line(): Promise<string | null> {
    const { done, value } = await this.#lines.next();
    return done ? null : value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    kill(this.#child, "SIGTERM");
    await this.#child.stdin.abort().catch(() => {});
    // Whatever it has printed is read to its end, which is there now.
    while (await this.line() !== null);
    await this.#child.status;
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = `${rest}${text}`.split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

const PERMISSIONS = ["--allow-net=127.0.0.1", "--allow-env", "--allow-sys", "--allow-read"];
