/** One worker as the main isolate sees it: asked and answered, watched, and reported when it is no more. */

import { collectSoon } from "../connection/collect.ts";
import type { EventBatch } from "./event_sender.ts";
import type { Isolate } from "./isolate.ts";
import type { FromWorker, Lent, RequestName, Requests, ToWorker } from "./messages.ts";

/** Options of {@linkcode Member}. */
export interface MemberOptions {
  /** Where it runs; it belongs to the member from now on. */
  readonly isolate: Isolate;
  readonly onEvents: (batch: EventBatch) => void;
  readonly onLent: (lent: Lent) => void;
  /** Told once, when it is no more and was not ended by us. */
  readonly onFailed: (failure: MemberFailure) => void;
  /** How often it is asked whether it is there. @default 2000 */
  readonly pingIntervalMs?: number | undefined;
}

/** Why a worker is no more. */
export interface MemberFailure {
  readonly detail: string;
  /** It is caught in something, and still there: the runtime cannot end it, nor take its ports from it. */
  readonly isHung: boolean;
}

/** A worker that has been started. */
export class Member {
  readonly #options: MemberOptions;
  readonly #waiting = new Map<number, Waiting>();
  readonly #pings: ReturnType<typeof setInterval>;
  #requests = 0;
  #unanswered = 0;
  #isOver = false;

  constructor(options: MemberOptions) {
    const { isolate, pingIntervalMs = PING_INTERVAL_MS } = options;
    this.#options = options;
    isolate.listen((message) => this.#receive(message));
    isolate.gone.then((detail) => this.fail(detail));
    this.#pings = setInterval(() => this.#ping(), pingIntervalMs);
  }

  /**
   * Asks, and waits for the answer.
   *
   * @throws {Error} If it could not do it, or is no more.
   */
  async ask<Name extends RequestName>(
    name: Name,
    asked: Requests[Name]["asked"],
  ): Promise<Requests[Name]["answer"]> {
    await this.#options.isolate.ready;
    if (this.#isOver) throw new Error("Worker is no more");
    const id = this.#requests++;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { resolve, reject });
    this.#post({ kind: "request", id, name, asked } as ToWorker);
    return await promise as Requests[Name]["answer"];
  }

  /** Tells it what another worker has told. */
  tell(lent: Lent): void {
    if (!this.#isOver) this.#post(lent);
  }

  /** Ends it at once; it has nothing more to say. */
  terminate(): void {
    this.#end("Worker was ended");
  }

  /** Ends it because of what it is or is not doing, and reports it. */
  fail(detail: string, isHung = false): void {
    if (this.#isOver) return;
    this.#end(detail);
    this.#options.onFailed({ detail, isHung });
  }

  #end(detail: string): void {
    this.#isOver = true;
    clearInterval(this.#pings);
    this.#options.isolate.terminate();
    const error = new Error(detail);
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  /** A worker that is caught in a loop says nothing. */
  #ping(): void {
    if (this.#unanswered >= MAX_UNANSWERED) {
      const { pingIntervalMs = PING_INTERVAL_MS } = this.#options;
      return this.fail(`It has not answered for ${MAX_UNANSWERED * pingIntervalMs} ms`, true);
    }
    this.#unanswered++;
    this.ask("ping", null).then(
      () => this.#unanswered = 0,
      // It has answered, with what it could not do; that it is over is told otherwise.
      () => this.#unanswered = 0,
    );
  }

  #receive(message: FromWorker): void {
    if (this.#isOver) return;
    switch (message.kind) {
      case "events":
        return this.#options.onEvents(message.batch);
      case "collected":
        // What the start has left lying in the main isolate, which has no sessions of its own.
        return collectSoon();
      case "lent":
        return this.#options.onLent(message);
      case "answer":
        return this.#settle(message.id, ({ resolve }) => resolve(message.answer));
      case "failed":
        return this.#settle(message.id, ({ reject }) => reject(new Error(message.error)));
    }
  }

  #settle(id: number, finish: (waiting: Waiting) => void): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (waiting !== undefined) finish(waiting);
  }

  #post(message: ToWorker): void {
    this.#options.isolate.post(message);
  }
}

interface Waiting {
  resolve(answer: unknown): void;
  reject(error: Error): void;
}

const PING_INTERVAL_MS = 2_000;

// Half a minute: longer than anything an isolate does in one go, also on a machine that has too much to do. They are
// counted, not timed: a machine that slept has asked none.
const MAX_UNANSWERED = 15;
