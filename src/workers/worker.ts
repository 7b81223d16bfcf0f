/** One isolate of several: serves what the main isolate gives it, and tells it what happens. */

import { type FilesFound, Snapshot } from "../config/snapshot.ts";
import { onCollected } from "../connection/collect.ts";
import { DescriptorBudget } from "../connection/descriptors.ts";
import { Places } from "../connection/places.ts";
import { formatProblem } from "../errors.ts";
import { Limits } from "../limits/limits.ts";
import { type LoadedRoute, PartLoader } from "../load_parts.ts";
import { Pace } from "../pace.ts";
import { Server } from "../server.ts";
import { guardIsolate } from "../server/guard.ts";
import type { Applied } from "../server/serving.ts";
import { EventSender } from "./event_sender.ts";
import { EventTally } from "./event_tally.ts";
import { holdForLife } from "./life_lock.ts";
import type { FromWorker, Lent, RequestName, Requests, RoutePart, ToWorker } from "./messages.ts";

/** Serves until the main isolate ends it. */
export function serveAsWorker(): void {
  const port = globalThis as unknown as Outside;
  const sender = new EventSender((batch) => port.postMessage({ kind: "events", batch }));
  guardIsolate(sender.observe);
  onCollected(() => port.postMessage({ kind: "collected" }));
  const serving = new WorkerServing({
    sender,
    onLent: (route, lender) => port.postMessage({ kind: "lent", route, lender }),
  });
  port.addEventListener("message", async ({ data: message }) => {
    if (message.kind === "lent") return serving.noteLent(message);
    const { id, name, asked } = message;
    try {
      const answer = await serving.answer(name, asked as never);
      // What has happened until now is told before the answer is.
      if (name === "drain") sender.flush();
      port.postMessage({ kind: "answer", id, answer });
    } catch (error) {
      port.postMessage({ kind: "failed", id, error: String(error) });
    }
  });
  // By this the main isolate knows when this one is no more.
  holdForLife(port.name).then(() => port.postMessage({ kind: "hello" }));
}

/** What a worker sees of the outside; the types of the main isolate do not say so. */
interface Outside {
  /** Its own, as `isolate.ts` has given it. */
  readonly name: string;
  addEventListener(event: "message", listener: (event: { readonly data: ToWorker }) => void): void;
  postMessage(message: FromWorker): void;
}

type Handlers = {
  readonly [Name in RequestName]: (
    asked: Requests[Name]["asked"],
  ) => Promise<Requests[Name]["answer"]>;
};

interface WorkerOptions {
  readonly sender: EventSender;
  readonly onLent: (route: string, lender: string) => void;
}

class WorkerServing {
  readonly #sender: EventSender;
  readonly #loader = new PartLoader();
  #routes: ReadonlyMap<number, LoadedRoute> = new Map();
  #files: FilesFound = new Map();
  readonly #onLent: WorkerOptions["onLent"];
  /** Among the workers. */
  #index = 0;
  #server: Server | null = null;
  #applied: Promise<unknown> = Promise.resolve();

  constructor({ sender, onLent }: WorkerOptions) {
    this.#sender = sender;
    this.#onLent = onLent;
  }

  noteLent({ route, lender }: Lent): void {
    this.#server?.noteLent(route, lender);
  }

  answer<Name extends RequestName>(
    name: Name,
    asked: Requests[Name]["asked"],
  ): Promise<Requests[Name]["answer"]> {
    return this.#handlers[name](asked);
  }

  readonly #handlers: Handlers = {
    start: ({ index, file, reserve, descriptors, limits: memory, tally }) => {
      this.#index = index;
      this.#sender.start(new EventTally(tally));
      const budget = new DescriptorBudget({ file, reserve, memory: descriptors, isolate: index });
      const limits = new Limits({ memory, isolate: index });
      const shared = { ownsSocketFiles: index === 0, onLent: this.#onLent };
      this.#server = new Server({ observe: this.#sender.observe, budget, limits, shared });
      return Promise.resolve(null);
    },
    // One after the other: the last one asked for is the one that stays.
    apply: (parts) => {
      const applied = this.#applied.then(() => this.#apply(parts));
      this.#applied = applied.catch(() => {});
      return applied;
    },
    liveBytes: () => this.#started.liveBytes(),
    ping: async () => {
      await this.#started.checkListeners();
      return null;
    },
    drain: (timeoutMs) => this.#started.drain(timeoutMs),
  };

  get #started(): Server {
    if (this.#server === null) throw new Error("Cannot serve before it is said where");
    return this.#server;
  }

  async #apply(parts: readonly RoutePart[]): Promise<Applied> {
    const routes: LoadedRoute[] = [];
    // Whoever serves nothing yet keeps nobody waiting.
    const pace = this.#routes.size === 0 ? null : new Pace();
    for (const part of parts) {
      await pace?.rest();
      routes.push(this.#routes.get(part.revision) ?? await this.#load(part, pace));
    }
    this.#routes = new Map(parts.map(({ revision }, i) => [revision, routes[i]!]));
    this.#files = new Map(routes.flatMap(({ files }) => [...files]));
    return await this.#started.apply(routes);
  }

  async #load(part: RoutePart, pace: Pace | null): Promise<LoadedRoute> {
    const { config, loadedAt, sessions, cancels } = part;
    this.#started.routes.share(config.name, {
      sessions: new Places(sessions, this.#index),
      cancels: new Places(cancels, this.#index),
    });
    const files = new Snapshot(this.#files, part.files);
    const rest = pace === null ? {} : { rest: () => pace.rest() };
    const loading = await this.#loader.route(config, files, { now: loadedAt, ...rest });
    if (loading.ok) return loading.value;
    throw new Error(loading.problems.map(formatProblem).join("\n"));
  }
}
