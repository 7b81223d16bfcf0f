/** Serves connections in this isolate: where listeners, routes and the path of a connection meet. */

import type { DescriptorBudget } from "./connection/descriptors.ts";
import { drainConnections } from "./connection/drain.ts";
import { Gate } from "./connection/gate.ts";
import { LentBackends } from "./connection/lent_backends.ts";
import type { Progress } from "./connection/progress.ts";
import type { Surroundings } from "./connection/surroundings.ts";
import type { Route } from "./connection/route.ts";
import { Limits } from "./limits/limits.ts";
import type { LoadedRoute } from "./load_parts.ts";
import type { Observer, PgtlsEvent, RelayedBytes } from "./observe/events.ts";
import { Pace } from "./pace.ts";
import { Lifespans, type RouteApp } from "./scope/lifespans.ts";
import { CountedSet } from "./server/counted_set.ts";
import { boundAddress, type ListenerEvent, listenerEvents } from "./server/listener_events.ts";
import { type Bound, Listeners } from "./server/listeners.ts";
import { Routes } from "./server/routes.ts";
import type { Applied, BoundAddress, Serving } from "./server/serving.ts";

/** Options of {@linkcode Server}. */
export interface ServerOptions {
  readonly observe: Observer;
  /** How many files may be opened, and how many of them this isolate uses. */
  readonly budget: DescriptorBudget;
  /** What all isolates of the process count together. @default Counts of this isolate alone */
  readonly limits?: Limits;
  /** Set where other isolates serve the same routes. */
  readonly shared?: {
    /** Whether this one listens on socket files: those cannot be shared. */
    readonly ownsSocketFiles: boolean;
    /** Hears of sessions of a route that an app has sent to another's backend; see {@linkcode Server.noteLent}. */
    readonly onLent: (route: string, lender: string) => void;
  };
}

/** What one isolate serves. */
export class Server implements Serving {
  readonly workers = 1;
  /** For the counts that other isolates share. */
  readonly routes: Routes;
  readonly #lifespans = new Lifespans();
  #served: readonly LoadedRoute[] = [];
  readonly #listeners: Listeners;
  readonly #gate: Gate;
  readonly #surroundings: Surroundings;
  readonly #budget: DescriptorBudget;
  readonly #isListened: (route: LoadedRoute) => boolean;
  readonly #watch: ReturnType<typeof setInterval>;
  #renewals: number;
  #isDraining = false;

  /** Listens nowhere yet. */
  constructor({ observe, budget, limits = new Limits(), shared }: ServerOptions) {
    this.routes = new Routes(limits);
    const connections = new CountedSet<Progress>((size) => budget.open = size);
    const findRoute = (name: string) => {
      const served = this.#served.find(({ config }) => config.name === name);
      return served && this.routes.of(served);
    };
    const lentBackends = new LentBackends(shared?.onLent);
    this.#surroundings = { observe, connections, findRoute, lentBackends };
    this.#isListened = ({ config }) =>
      config.listener.bindAddress.kind === "tcp" || (shared?.ownsSocketFiles ?? true);
    this.#listeners = new Listeners((accepted) => this.#gate.serve(accepted, this.#surroundings), {
      limits,
      reusePort: shared !== undefined,
    });
    this.#gate = new Gate({ budget, observe, renewListeners: () => this.#listeners.renew() });
    this.#budget = budget;
    this.#renewals = budget.renewals;
    this.#watch = setInterval(() => this.#lookAfterListeners(), LOOK_INTERVAL_MS);
    Deno.unrefTimer(this.#watch as unknown as number);
  }

  get addresses(): readonly BoundAddress[] {
    return this.#listeners.bound.flatMap(({ endpoint, listener }) =>
      endpoint.routes.map(({ config }) => boundAddress(config, listener.address))
    ).sort((one, other) => one.index - other.index);
  }

  get connections(): number {
    return this.#surroundings.connections.size;
  }

  liveBytes(): Promise<ReadonlyMap<string, RelayedBytes>> {
    const bytes = new Map<string, RelayedBytes>();
    for (const { id, sessionBytes } of this.#surroundings.connections) {
      if (sessionBytes) bytes.set(id, sessionBytes);
    }
    return Promise.resolve(bytes);
  }

  async apply(wanted: readonly LoadedRoute[]): Promise<Applied> {
    const refused = await this.#lifespans.start(wanted.flatMap(appOf));
    const isFirst = this.#served.length === 0;
    if (isFirst && refused.length > 0) return { problems: refused, events: [] };
    const failed = new Set(refused.map(({ route }) => route));
    const isKept = ({ config }: LoadedRoute) => failed.has(config.name);
    const routes = [...wanted.filter((route) => !isKept(route)), ...this.#served.filter(isKept)];
    const listened = routes.filter(this.#isListened);
    if (!isFirst) await this.#prepare(listened);
    const { opened, closed, problems } = await this.#listeners.apply(
      listened.map((route) => this.routes.of(route)),
    );
    await this.#settle(routes);
    const events = [
      ...opened.flatMap((bound) => eventsOf("listener.bound", bound)),
      ...closed.flatMap((bound) => eventsOf("listener.closed", bound)),
    ];
    return { problems: [...refused, ...problems], events };
  }

  /** Notes what another isolate has noted: a CancelRequest for such a session may come here. */
  noteLent(route: string, lender: string): void {
    this.#surroundings.lentBackends.note(route, lender);
  }

  /** Revives listeners that may have met the limit of open files unnoticed, if another isolate has reason to think so. */
  async checkListeners(): Promise<void> {
    const { renewals } = this.#budget;
    if (renewals === this.#renewals || this.#isDraining) return;
    this.#renewals = renewals;
    await this.#listeners.renew();
  }

  /** See connection/drain.ts. */
  async drain(timeoutMs: number): Promise<number> {
    this.#isDraining = true;
    clearInterval(this.#watch);
    this.#gate.close();
    await this.#listeners.close();
    const cut = await drainConnections(this.#surroundings.connections, timeoutMs);
    await this.#lifespans.stop(this.#lifespanFailed);
    return cut;
  }

  async #lookAfterListeners(): Promise<void> {
    const renewals = this.#renewals;
    try {
      this.#budget.look();
      await this.checkListeners();
    } catch (error) {
      // What could not be bound is bound at the next look.
      this.#renewals = renewals - 1;
      const { observe } = this.#surroundings;
      observe({ event: "server.failed", error: `Could not listen again: ${error}`, stack: "" });
    }
  }

  get #boundRoutes(): readonly Route[] {
    return this.#listeners.bound.flatMap(({ endpoint }) => endpoint.routes);
  }

  /** Makes of new routes what connections see, bit by bit: those that are open now must not wait for it. */
  async #prepare(routes: readonly LoadedRoute[]): Promise<void> {
    const pace = new Pace();
    for (const route of routes) {
      this.routes.of(route);
      await pace.rest();
    }
  }

  /** Notes what is served now, and ends what belonged to what is not. */
  async #settle(routes: readonly LoadedRoute[]): Promise<void> {
    const bound = new Set(this.#boundRoutes);
    const known = new Set([...routes, ...this.#served]);
    this.#served = [...known].filter((route) =>
      bound.has(this.routes.of(route)) || (routes.includes(route) && !this.#isListened(route))
    );
    this.routes.retain(this.#served);
    const apps = new Set(this.#served.flatMap(appOf).map(({ app }) => app));
    await this.#lifespans.retain(apps, this.#lifespanFailed);
  }

  readonly #lifespanFailed = (route: string, detail: string): void => {
    this.#surroundings.observe({ event: "lifespan.failed", route, detail });
  };
}

function appOf({ app, config: { name, index, appTimeoutMs } }: LoadedRoute): RouteApp[] {
  return app ? [{ app, route: name, path: `proxy[${index}].app`, timeoutMs: appTimeoutMs }] : [];
}

function eventsOf(event: ListenerEvent, { endpoint, listener }: Bound): PgtlsEvent[] {
  return listenerEvents(event, listener.address, endpoint.routes);
}

// One file is opened and closed; a listener that met the limit unnoticed is dead for as long.
const LOOK_INTERVAL_MS = 1_000;
