/** Lines to standard error, without ever making the proxy wait for whoever reads them. */

/** Where bytes go; `Deno.stderr` is one. */
export interface LogSink {
  write(bytes: Uint8Array): Promise<number>;
}

/**
 * Queues lines and writes them in the background, whole and in order.
 *
 * A reader that stalls (a full pipe) must not stall the proxy, nor may the queue grow without bound: what does not fit
 * is dropped and counted, and the count is written as soon as there is room. A reader that has gone is the end of it.
 */
export class LogWriter {
  readonly #sink: LogSink;
  readonly #describeDropped: (count: number) => string;
  #queue: string[] = [];
  #queuedLength = 0;
  #dropped = 0;
  #droppedBefore = 0;
  #writing: Promise<void> | null = null;

  /** @param describeDropped The line that says how many lines were dropped. */
  constructor(sink: LogSink, describeDropped: (count: number) => string) {
    this.#sink = sink;
    this.#describeDropped = describeDropped;
  }

  /** Takes one line, without its newline. Never blocks, never throws. */
  write(line: string): void {
    if (this.#queuedLength + line.length > MAX_QUEUED_LENGTH) {
      this.#dropped++;
      return;
    }
    this.#push(line);
    this.#writing ??= this.#drain();
  }

  /** Lines dropped since the start. */
  get dropped(): number {
    return this.#droppedBefore + this.#dropped;
  }

  /** Resolves when everything taken so far is written, or after `timeoutMs`. */
  async flush(timeoutMs: number): Promise<void> {
    if (this.#writing === null) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => timer = setTimeout(resolve, timeoutMs));
    await Promise.race([this.#writing, late]);
    clearTimeout(timer);
  }

  #push(line: string): void {
    this.#queue.push(line);
    this.#queuedLength += line.length;
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#queue;
      this.#queue = [];
      const length = this.#queuedLength;
      await this.#writeAll(encoder.encode(`${batch.join("\n")}\n`));
      // Counted until it is written: it is in memory until then.
      this.#queuedLength -= length;
      this.#reportDropped();
    }
    this.#writing = null;
  }

  #reportDropped(): void {
    if (this.#dropped === 0) return;
    this.#push(this.#describeDropped(this.#dropped));
    this.#droppedBefore += this.#dropped;
    this.#dropped = 0;
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    try {
      for (let written = 0; written < bytes.length;) {
        written += await this.#sink.write(bytes.subarray(written));
      }
    } catch {
      // EPIPE, EBADF: nobody is left to tell, and a lost log must not end the proxy.
    }
  }
}

const encoder = new TextEncoder();

// In characters. Some 1,500 closing lines: a reader that pauses loses nothing, one that hangs costs no more than this.
const MAX_QUEUED_LENGTH = 1024 * 1024;
