/** `lifespan`: tells an app that pgtls starts and stops, as in PAGI and ASGI. */

import { Channel } from "./channel.ts";
import { describeError } from "./run_app.ts";
import type { App, LifespanReceive, LifespanScope, LifespanSend, Send } from "./types.ts";

/**
 * The life of one app. An app that does not know the scope `lifespan` throws, returns at once, or answers as to a
 * session: then it has none, and everything goes on without.
 */
export class Lifespan {
  readonly #channel = new Channel<LifespanReceive>();
  readonly #started = Promise.withResolvers<void>();
  readonly #stopped = Promise.withResolvers<void>();
  #state: "starting" | "started" | "stopping" | "over" = "starting";

  private constructor(app: App) {
    for (const { promise } of [this.#started, this.#stopped]) promise.catch(() => {});
    this.#channel.push({ type: "lifespan.startup" });
    this.#run(app);
  }

  /**
   * Starts an app.
   *
   * @param timeoutMs How long it may take.
   * @throws {Error} If it says that it cannot start, sends what cannot be used, or takes too long.
   */
  static async start(app: App, timeoutMs: number): Promise<Lifespan> {
    const lifespan = new Lifespan(app);
    const late = `it has not completed lifespan.startup within ${timeoutMs} ms (app_timeout)`;
    await withinTime(lifespan.#started.promise, timeoutMs, late).catch((error) => {
      lifespan.#end();
      throw error;
    });
    return lifespan;
  }

  /**
   * Tells the app that pgtls stops, and waits until it is done.
   *
   * @throws {Error} If it says that it failed, throws, or takes longer than `timeoutMs`.
   */
  async stop(timeoutMs: number): Promise<void> {
    if (this.#state === "started") {
      this.#state = "stopping";
      this.#channel.push({ type: "lifespan.shutdown" });
    }
    const late = `it has not completed lifespan.shutdown within ${timeoutMs} ms (app_timeout)`;
    try {
      await withinTime(this.#stopped.promise, timeoutMs, late);
    } finally {
      this.#end();
    }
  }

  async #run(app: App): Promise<void> {
    try {
      await app(SCOPE, this.#channel.receive, this.#send as Send);
    } catch (error) {
      // One that throws before it has started is one that knows no lifespan.
      if (this.#state !== "starting") this.#stopped.reject(new Error(`it threw ${describeError(error)}`));
    } finally {
      this.#end();
      // Without a word: an app that has no lifespan.
      this.#started.resolve();
      this.#stopped.resolve();
    }
  }

  #end(): void {
    this.#state = "over";
    this.#channel.close();
  }

  readonly #send = (event: LifespanSend): Promise<void> => {
    const sent = new Promise<void>((resolve) => resolve(this.#take(event)));
    sent.catch(() => {});
    return sent;
  };

  #take(event: unknown): void {
    const { type, message } = event as { readonly type?: unknown; readonly message?: unknown };
    const why = message === undefined ? "" : `: ${String(message).slice(0, MAX_TEXT_LENGTH)}`;
    if (this.#state === "starting" && type === "lifespan.startup.complete") {
      this.#state = "started";
      return this.#started.resolve();
    }
    if (this.#state === "starting" && type === "lifespan.startup.failed") {
      return this.#started.reject(new Error(`it reports that it cannot start${why}`));
    }
    if (this.#state === "stopping" && type === "lifespan.shutdown.complete") return this.#stopped.resolve();
    if (this.#state === "stopping" && type === "lifespan.shutdown.failed") {
      return this.#stopped.reject(new Error(`it reports that it could not stop in order${why}`));
    }
    const error = new TypeError(`it sent ${JSON.stringify(String(type).slice(0, 64))} while ${this.#state}`);
    // An answer to another protocol comes from an app that did not look at the scope: it has no lifespan either.
    if (String(type).startsWith("lifespan.")) {
      this.#started.reject(error);
      this.#stopped.reject(error);
    }
    throw error;
  }
}

async function withinTime(promise: Promise<void>, timeoutMs: number, message: string): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(message)), timeoutMs);
  try {
    await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

const SCOPE: LifespanScope = Object.freeze({
  type: "lifespan",
  pagi: Object.freeze({ version: "0.1", spec_version: "0.1" } as const),
});

const MAX_TEXT_LENGTH = 500;
