/**
 * The composition root: the only place where configuration, material, listeners, connections and observers meet.
 * What only an admin server needs is loaded when there is one: it takes as long as all the rest.
 */

import type { AdminServer } from "./admin/server.ts";
import { BackendProbes } from "./backend_probes.ts";
import { isSameListener } from "./config/address.ts";
import type { Config, RouteConfig, TcpAddress } from "./config/types.ts";
import { describeAddress } from "./connection/connect_backend.ts";
import { DescriptorBudget } from "./connection/descriptors.ts";
import { drainConnections } from "./connection/drain.ts";
import { Gate } from "./connection/gate.ts";
import { Endpoint } from "./connection/endpoint.ts";
import { listen, type Listener } from "./connection/listen.ts";
import type { Progress, Surroundings } from "./connection/progress.ts";
import { MAX_CANCELS, Places, type Route } from "./connection/route.ts";
import { formatAddress } from "./connection/socket.ts";
import { ConfigError, type Problem } from "./errors.ts";
import type { Loaded } from "./load.ts";
import type { LiveBytes, Observer, RelayedBytes } from "./observe/events.ts";
import { loadedCertificates } from "./observe/loaded_certificates.ts";
import type { Observation } from "./observe/observation.ts";
import { freshlyLoaded } from "./observe/reload_state.ts";
import { TlsAcceptor } from "./tls/acceptor.ts";
import { allowRules } from "./scope/apps/allow_rules.ts";
import { Lifespans, type RouteApp } from "./scope/lifespans.ts";
import type { App } from "./scope/types.ts";
import type { Material, RouteMaterial } from "./tls/material.ts";

/** A bound address and a route reached through it. */
export interface BoundAddress {
  readonly route: string;
  /** The route's position in the configuration; there is one entry for each. */
  readonly index: number;
  readonly host: string;
  readonly port: number;
}

/** A proxy that is listening. */
export class Server {
  readonly addresses: readonly BoundAddress[];
  readonly #listeners: readonly Listener[];
  readonly #gate: Gate;
  readonly #surroundings: Surroundings;
  readonly #admin: AdminServer | null;
  readonly #lifespans: Lifespans;

  private constructor(bound: readonly Bound[], { admin, gate, surroundings, lifespans }: Parts) {
    this.#admin = admin;
    this.#lifespans = lifespans;
    this.#gate = gate;
    this.#listeners = bound.map(({ listener }) => listener);
    this.#surroundings = surroundings;
    this.addresses = bound.flatMap(({ endpoint, listener }) =>
      endpoint.routes.map(({ config }) => ({ route: config.name, index: config.index, ...listener.address }))
    ).sort((one, other) => one.index - other.index);
  }

  /**
   * Binds every listener, or none.
   *
   * @throws {ConfigError} Naming every address that cannot be bound; nothing is left listening then.
   */
  static async start({ config, material, apps }: Loaded, log: Observer): Promise<Server> {
    const connections = new Set<Progress>();
    const liveBytes = () => Promise.resolve(liveBytesOf(connections));
    const observation = config.admin && await openObservation(config, material, liveBytes);
    const adminModules = config.admin && await loadAdmin();
    const observe = observation ? both(log, observation.observe) : log;
    const lifespans = await startLifespans({ config, apps });
    const routes = config.routes.map((route, i) =>
      openRoute(route, { material: material.routes[i]!, app: apps[i]?.app ?? null })
    );
    const surroundings: Surroundings = {
      observe,
      connections,
      findRoute: (name) => routes.find((route) => route.config.name === name),
    };
    const bound: Bound[] = [];
    const gate = new Gate({
      budget: new DescriptorBudget(config.file, adminModules?.MAX_CONNECTIONS ?? 0),
      observe,
      renewListeners: async () => void await Promise.all(bound.map(({ listener }) => listener.renew())),
    });
    const problems: Problem[] = [];
    for (const endpoint of groupByAddress(routes)) {
      try {
        const listener = await listen(endpoint, (accepted) => gate.serve(accepted, surroundings));
        bound.push({ endpoint, listener });
      } catch (error) {
        problems.push(listenerProblem(endpoint.routes[0]!.config, error));
      }
    }
    let admin: AdminServer | null = null;
    if (config.admin && observation && adminModules) {
      const probes = new BackendProbes(() => routes);
      try {
        admin = await adminModules.startAdmin({
          admin: config.admin,
          material: material.admin,
          observation,
          observe,
          config: () => config,
          reloadState: observation.sources.reloadState,
          reload: null,
          probeBackends: () => probes.failures(),
        });
      } catch (error) {
        problems.unshift({ path: "admin.bind_address", ...bindProblem(config.admin.bindAddress, error) });
      }
    }
    if (problems.length > 0) {
      await Promise.all([...bound.map(({ listener }) => listener.close()), admin?.close()]);
      await lifespans.stop(reportTo(observe));
      throw new ConfigError(config.file, problems);
    }
    const server = new Server(bound, { admin, gate, surroundings, lifespans });
    for (const { endpoint, listener } of bound) {
      for (const route of endpoint.routes) observe(boundEvent(route, listener));
    }
    if (admin) observe(adminBoundEvent(admin));
    return server;
  }

  /** How many connections are open now, in whatever stage. */
  get connections(): number {
    return this.#surroundings.connections.size;
  }

  /** Where the admin server listens; `null` without one. */
  get adminAddress(): { readonly host: string; readonly port: number } | null {
    return this.#admin?.address ?? null;
  }

  /**
   * Stops accepting, ends idle sessions with 57P01, lets busy ones finish, and after `timeoutMs` ends those too
   * (connection/drain.ts).
   *
   * @returns How many connections the timeout cut.
   */
  async drain(timeoutMs: number): Promise<number> {
    const { connections, observe } = this.#surroundings;
    observe({ event: "server.draining", connections: connections.size, drain_timeout_ms: timeoutMs });
    this.#gate.close();
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    const cut = await drainConnections(connections, timeoutMs);
    await this.#lifespans.stop(reportTo(observe));
    observe({ event: "server.stopped", connections_cut: cut });
    // Last, so that it can say what goes on.
    await this.#admin?.close();
    return cut;
  }
}

interface Parts {
  readonly admin: AdminServer | null;
  readonly gate: Gate;
  readonly surroundings: Surroundings;
  readonly lifespans: Lifespans;
}

/** @throws {ConfigError} Naming each app that cannot start. */
async function startLifespans({ config, apps }: Pick<Loaded, "config" | "apps">): Promise<Lifespans> {
  const routeApps = config.routes.flatMap(({ name, index, appTimeoutMs }, i): RouteApp[] => {
    const app = apps[i]?.app;
    return app ? [{ app, route: name, path: `proxy[${index}].app`, timeoutMs: appTimeoutMs }] : [];
  });
  const { lifespans, problems } = await Lifespans.start(routeApps);
  if (problems.length > 0) throw new ConfigError(config.file, problems);
  return lifespans;
}

function reportTo(observe: Observer): (route: string, detail: string) => void {
  return (route, detail) => observe({ event: "lifespan.failed", route, detail });
}

interface Bound {
  readonly endpoint: Endpoint;
  readonly listener: Listener;
}

/** One endpoint for each address; port 0 is another one each time. */
function groupByAddress(routes: readonly Route[]): Endpoint[] {
  const endpoints: Endpoint[] = [];
  for (const route of routes) {
    const address = route.config.listener.bindAddress;
    const shared = endpoints.find((endpoint) => isSameListener(endpoint.address, address));
    if (shared === undefined) endpoints.push(new Endpoint(address, [route]));
    else shared.publish([...shared.routes, route]);
  }
  return endpoints;
}

function openRoute(config: RouteConfig, loaded: { material: RouteMaterial; app: App | null }): Route {
  const { material, app } = loaded;
  const { minTlsVersion, mtls, maxConnections } = config.listener;
  const acceptor = material.listener &&
    new TlsAcceptor(material.listener, { minVersion: minTlsVersion, requestCertificate: mtls !== false });
  return {
    config,
    material,
    acceptor,
    rules: config.allow.length === 0 ? null : allowRules(config.allow),
    app,
    sessions: new Places(maxConnections),
    cancels: new Places(MAX_CANCELS),
  };
}

function listenerProblem({ index, name, listener }: RouteConfig, error: unknown): Problem {
  const path = `proxy[${index}].listener.bind_address`;
  return { path, route: name, ...bindProblem(listener.bindAddress, error) };
}

function bindProblem({ host, port }: TcpAddress, error: unknown): Pick<Problem, "message"> {
  const code = (error as { code?: string }).code ?? "";
  const why = BIND_ERRORS[code] ?? (error instanceof Error ? error.message : String(error));
  return { message: `Cannot listen on "${formatAddress(host, port)}": ${why}` };
}

async function openObservation(
  config: Config,
  material: Material,
  liveBytes: LiveBytes,
): Promise<Observation> {
  const { Observation } = await import("./observe/observation.ts");
  const loaded = freshlyLoaded();
  const { routes } = config;
  const observation = new Observation({
    liveBytes,
    routes: () => routes.map(({ name, listener }) => ({ name, limit: listener.maxConnections })),
    reloadState: () => loaded,
    workers: () => 1,
  });
  observation.certificates.load(loadedCertificates(config, material));
  return observation;
}

async function loadAdmin(): Promise<typeof import("./admin/start.ts") & typeof import("./admin/server.ts")> {
  return { ...await import("./admin/start.ts"), ...await import("./admin/server.ts") };
}

function both(one: Observer, other: Observer): Observer {
  return (event) => {
    one(event);
    other(event);
  };
}

function liveBytesOf(connections: ReadonlySet<Progress>): ReadonlyMap<string, RelayedBytes> {
  const bytes = new Map<string, RelayedBytes>();
  for (const { id, sessionBytes } of connections) if (sessionBytes) bytes.set(id, sessionBytes);
  return bytes;
}

function adminBoundEvent(admin: AdminServer): Parameters<Observer>[0] {
  const { host, port } = admin.address;
  const scheme = admin.material ? "https" : "http";
  return { event: "admin.bound", address: formatAddress(host, port), scheme };
}

function boundEvent(route: Route, listener: Listener): Parameters<Observer>[0] {
  return {
    event: "listener.bound",
    route: route.config.name,
    address: formatAddress(listener.address.host, listener.address.port),
    backend: describeAddress(route.config.backend.address),
  };
}

const BIND_ERRORS: Readonly<Record<string, string>> = {
  EADDRINUSE: "address already in use, expected a free one (is another pgtls or PostgreSQL running there?)",
  EACCES: "permission denied, expected a port this user may bind (1024 or above without privileges)",
  EADDRNOTAVAIL: "this machine has no such address, expected one of its own, 0.0.0.0 or [::]",
  ENOTFOUND: "the host name does not resolve",
};
