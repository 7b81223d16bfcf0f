/** Several isolates that serve the same routes on the same ports, as one. */

import {
  DescriptorBudget,
  forgetConnections,
  openConnections,
  sharedDescriptors,
} from "../connection/descriptors.ts";
import type { Problem } from "../errors.ts";
import { giveBackHeld, sharedLimits } from "../limits/limits.ts";
import type { LoadedRoute } from "../load_parts.ts";
import type { Observer, PgtlsEvent, RelayedBytes } from "../observe/events.ts";
import { boundAddress } from "../server/listener_events.ts";
import type { Applied, BoundAddress, Serving } from "../server/serving.ts";
import { Addresses, type Bindings } from "./addresses.ts";
import type { EarlyIsolates } from "./early_isolates.ts";
import { Isolate } from "./isolate.ts";
import type { Lent } from "./messages.ts";
import { RouteParts } from "./route_parts.ts";
import { Seat } from "./seat.ts";

/** Options of {@linkcode WorkerPool}. */
export interface PoolOptions {
  /** Isolates. */
  readonly size: number;
  /** The module they run. */
  readonly module: string;
  /** Isolates that have been started already, to be taken before others are started. */
  readonly isolates?: EarlyIsolates | undefined;
  readonly observe: Observer;
  /** A file that may be opened, to try out how many may be. */
  readonly file: string;
  /** Descriptors to leave for others. */
  readonly reserve: number;
  /** Told when a worker is caught in something and cannot be replaced: only a restart of the process helps. */
  readonly onHung: (detail: string) => void;
  /** How often each is asked whether it is there. @default 2000 */
  readonly pingIntervalMs?: number;
}

/** Serves in workers; this isolate serves nothing itself. */
export class WorkerPool implements Serving {
  readonly #seats: readonly Seat[];
  readonly #descriptors: SharedArrayBuffer;
  readonly #addresses = new Addresses();
  readonly #parts: RouteParts;
  #routes: readonly LoadedRoute[] = [];
  /** What has been warned of, in each state of a route: every worker finds out for itself. */
  readonly #warned = new WeakMap<LoadedRoute, Set<string>>();
  readonly #lent: Lent[] = [];
  readonly #isolates: EarlyIsolates | undefined;
  readonly #budget: DescriptorBudget;
  #isStarted = false;

  constructor({ size, file, reserve, module, isolates, ...options }: PoolOptions) {
    const descriptors = this.#descriptors = sharedDescriptors(size);
    this.#isolates = isolates;
    this.#budget = new DescriptorBudget({ file, reserve, memory: descriptors });
    const parts = this.#parts = new RouteParts(size);
    const limits = sharedLimits(size);
    this.#seats = Array.from({ length: size }, (_, index) =>
      new Seat({
        ...options,
        observe: (event) => this.#isSaidAgain(event) || options.observe(event),
        place: { index, file, reserve, descriptors, limits },
        newIsolate: async () => await isolates?.take() ?? new Isolate(module),
        parts: () => this.#partsNow(),
        lent: () => this.#lent,
        onLent: (lent) => this.#spread(lent),
        onFailed: () => {
          forgetConnections(descriptors, index);
          parts.giveBack(index);
          giveBackHeld(limits, index);
        },
      }));
  }

  get workers(): number {
    return this.#seats.filter(({ isTaken }) => isTaken).length;
  }

  get addresses(): readonly BoundAddress[] {
    return this.#routes.map(({ config }) => boundAddress(config, this.#addresses.of(config)))
      .sort((one, other) => one.index - other.index);
  }

  get connections(): number {
    return openConnections(this.#descriptors);
  }

  async liveBytes(): Promise<ReadonlyMap<string, RelayedBytes>> {
    const all = await Promise.all(this.#seats.map((seat) => seat.liveBytes()));
    return new Map(all.flatMap((bytes) => [...bytes]));
  }

  /**
   * The first call starts the workers: they are there before an address is tried out, so that as little time as can be
   * passes until they listen on it themselves. What one of them cannot take of a later call the others give back: all
   * serve the same, and that is what the caller believes.
   */
  async apply(wanted: readonly LoadedRoute[]): Promise<Applied> {
    const isFirst = !this.#isStarted;
    if (isFirst) await this.#start();
    this.#isStarted = true;
    const before = { routes: this.#routes, bound: this.#addresses.bound };
    const { problems, events } = await this.#claim(wanted);
    if (isFirst && problems.length > 0) return { problems, events };
    const refused = await this.#give();
    if (isFirst && this.workers < this.#seats.length) throw new Error("Cannot start: a worker has failed");
    const undone = isFirst || refused.length === 0 ? NOTHING : await this.#goBack(refused, before);
    return {
      problems: distinct([...problems, ...refused, ...undone.problems]),
      events: [...events, ...undone.events],
    };
  }

  async drain(timeoutMs: number): Promise<number> {
    const cut = await Promise.all(this.#seats.map((seat) => seat.drain(timeoutMs)));
    return cut.reduce((sum, count) => sum + count, 0);
  }

  async #start(): Promise<void> {
    // While nobody opens any files, whom it could take the last one from.
    await this.#isolates?.booted();
    this.#budget.proveAtStart();
    await Promise.all(this.#seats.map((seat) => seat.open()));
  }

  async #claim(wanted: readonly LoadedRoute[], known?: Bindings): Promise<Applied> {
    const { routes, problems, events } = await this.#addresses.claim(wanted, this.#routes, known);
    this.#routes = routes;
    this.#parts.retain(routes);
    return { problems, events };
  }

  /** Lets all workers serve the routes of now. */
  async #give(): Promise<readonly Problem[]> {
    const parts = this.#partsNow();
    return (await Promise.all(this.#seats.map((seat) => seat.apply(parts)))).flat();
  }

  /** Puts the routes of these problems back to what they were before, in all workers. */
  async #goBack(
    refused: readonly Problem[],
    { routes, bound }: { readonly routes: readonly LoadedRoute[]; readonly bound: Bindings },
  ): Promise<Applied> {
    const names = new Set(refused.map(({ route }) => route));
    const isRefused = ({ config }: LoadedRoute) => names.has(config.name);
    const wanted = [...this.#routes.filter((route) => !isRefused(route)), ...routes.filter(isRefused)];
    const { problems, events } = await this.#claim(wanted, bound);
    return { problems: [...problems, ...await this.#give()], events };
  }

  /** Who has told it notes it once more, which changes nothing. */
  #spread(lent: Lent): void {
    this.#lent.push(lent);
    for (const seat of this.#seats) seat.tell(lent);
  }

  #isSaidAgain(event: PgtlsEvent): boolean {
    if (event.event !== "config.warning") return false;
    const { path, route: name, message } = event.problem;
    const route = this.#routes.find(({ config }) => config.name === name);
    if (route === undefined) return false;
    const warned = this.#warned.get(route) ?? new Set();
    this.#warned.set(route, warned);
    const key = `${path} ${message}`;
    return warned.size === warned.add(key).size;
  }

  #partsNow() {
    return this.#routes.map((route) => this.#parts.of(route, this.#addresses.of(route.config)));
  }
}

/** Workers mostly have the same to say. */
function distinct<Value>(values: readonly Value[]): Value[] {
  return [...new Map(values.map((value) => [JSON.stringify(value), value])).values()];
}

const NOTHING: Applied = { problems: [], events: [] };
