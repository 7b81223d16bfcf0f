/**
 * One isolate beside the main one: started, heard, and known to be no more. What it is asked is `member.ts`.
 *
 * A worker of the Web: it is there in half the time that one of `node:worker_threads` takes, but does not tell when it
 * has ended itself (`Deno.exit` in an app). The lock it holds does (`life_lock.ts`).
 */

import { endOfHolder } from "./life_lock.ts";
import type { FromWorker, ToWorker } from "./messages.ts";

/** An isolate that has been started. Nobody has to wait for it, nor to take it: it can be ended at any time. */
export class Isolate {
  readonly #worker: Worker;
  readonly #ready = Promise.withResolvers<void>();
  readonly #gone = Promise.withResolvers<string>();
  readonly #waitingForLock = new AbortController();
  #receive: (message: FromWorker) => void = () => {};
  #isGone = false;
  #holdsNoLock = false;

  /** @param module What it runs: a module that calls `serveAsWorker` of `worker.ts`. */
  constructor(module: string) {
    // Another one for each, for the sake of its lock: all isolates of a process share them.
    const name = `pgtls worker ${crypto.randomUUID()}`;
    this.#worker = new Worker(module, { type: "module", name });
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (this.#isGone) return;
      if (data.kind !== "hello") return this.#receive(data);
      this.#ready.resolve();
      this.#watch(name);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#end(event.message);
    };
    // Nobody may be waiting.
    this.#ready.promise.catch(() => {});
  }

  /** Resolves when it listens to messages. Rejects if it is gone before that. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Resolves when it is no more, with what is known of the reason. */
  get gone(): Promise<string> {
    return this.#gone.promise;
  }

  get isGone(): boolean {
    return this.#isGone || this.#holdsNoLock;
  }

  /** Hears from now on what it says. */
  listen(receive: (message: FromWorker) => void): void {
    this.#receive = receive;
  }

  post(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  /** Ends it at once; it has nothing more to say. */
  terminate(): void {
    this.#end("Worker was ended");
  }

  #watch(lock: string): void {
    endOfHolder(lock, this.#waitingForLock.signal).then(() => this.#endsItself(), () => {});
  }

  /** An error that it ended by was sent before the lock was free, but comes another way: it is the better reason. */
  async #endsItself(): Promise<void> {
    this.#holdsNoLock = true;
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setTimeout(resolve, TURN_MS));
    this.#end("It has ended itself");
  }

  #end(detail: string): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#waitingForLock.abort();
    this.#worker.terminate();
    this.#ready.reject(new Error(detail));
    this.#gone.resolve(detail);
  }
}

// Whatever is there by then has been seen by the end of the second.
const TURN_MS = 10;
