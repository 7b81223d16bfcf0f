/** Serves connections in this isolate: where listeners, routes and the path of a connection meet. */

import type { Address } from "./config/types.ts";
import { DescriptorBudget } from "./connection/descriptors.ts";
import { drainConnections } from "./connection/drain.ts";
import { Gate } from "./connection/gate.ts";
import { LentBackends } from "./connection/lent_backends.ts";
import type { Progress, Surroundings } from "./connection/progress.ts";
import type { Route } from "./connection/route.ts";
import { describeAddress } from "./connection/socket.ts";
import type { LoadedRoute } from "./load.ts";
import type { Observer, PgtlsEvent, RelayedBytes } from "./observe/events.ts";
import { Lifespans, type RouteApp } from "./scope/lifespans.ts";
import { type Bound, Listeners } from "./server/listeners.ts";
import { Routes } from "./server/routes.ts";
import type { Applied, BoundAddress, Serving } from "./server/serving.ts";

/** Options of {@linkcode Server}. */
export interface ServerOptions {
  readonly observe: Observer;
  /** A file this process may read, to try out how many it may open. */
  readonly file: string;
  /** Descriptors to leave for others. @default 0 */
  readonly reserve?: number;
}

/** What one isolate serves. */
export class Server implements Serving {
  readonly #routes = new Routes();
  readonly #lifespans = new Lifespans();
  #served: readonly LoadedRoute[] = [];
  readonly #listeners: Listeners;
  readonly #gate: Gate;
  readonly #surroundings: Surroundings;

  /** Listens nowhere yet. */
  constructor({ observe, file, reserve = 0 }: ServerOptions) {
    const findRoute = (name: string) => this.#boundRoutes.find(({ config }) => config.name === name);
    const lentBackends = new LentBackends();
    this.#surroundings = { observe, connections: new Set<Progress>(), findRoute, lentBackends };
    this.#listeners = new Listeners((accepted) => this.#gate.serve(accepted, this.#surroundings));
    this.#gate = new Gate({
      budget: new DescriptorBudget(file, reserve),
      observe,
      renewListeners: () => this.#listeners.renew(),
    });
  }

  get addresses(): readonly BoundAddress[] {
    return this.#listeners.bound.flatMap(({ endpoint, listener }) =>
      endpoint.routes.map(({ config }) => ({
        route: config.name,
        index: config.index,
        ...hostAndPort(listener.address),
      }))
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
    const { opened, closed, problems } = await this.#listeners.apply(
      routes.map((route) => this.#routes.of(route)),
    );
    await this.#settle(routes);
    const events = [
      ...opened.flatMap((bound) => listenerEvents("listener.bound", bound)),
      ...closed.flatMap((bound) => listenerEvents("listener.closed", bound)),
    ];
    return { problems: [...refused, ...problems], events };
  }

  /** See connection/drain.ts. */
  async drain(timeoutMs: number): Promise<number> {
    this.#gate.close();
    await this.#listeners.close();
    const cut = await drainConnections(this.#surroundings.connections, timeoutMs);
    await this.#lifespans.stop(this.#lifespanFailed);
    return cut;
  }

  get #boundRoutes(): readonly Route[] {
    return this.#listeners.bound.flatMap(({ endpoint }) => endpoint.routes);
  }

  /** Notes what is served now, and ends what belonged to what is not. */
  async #settle(routes: readonly LoadedRoute[]): Promise<void> {
    const bound = new Set(this.#boundRoutes);
    const known = new Set([...routes, ...this.#served]);
    this.#served = [...known].filter((route) => bound.has(this.#routes.of(route)));
    this.#routes.retain(this.#served);
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

function listenerEvents(event: "listener.bound" | "listener.closed", bound: Bound): PgtlsEvent[] {
  return bound.endpoint.routes.map(({ config: { name: route, backend } }) => ({
    event,
    route,
    address: describeAddress(bound.listener.address),
    backend: describeAddress(backend.address),
  }));
}

function hostAndPort(address: Address): Pick<BoundAddress, "host" | "port"> {
  return address.kind === "unix"
    ? { host: address.path, port: 0 }
    : { host: address.host, port: address.port };
}
