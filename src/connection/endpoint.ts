/** One address pgtls listens on, and the routes reached through it. */

import { type IpRange, isInRange, parseIp, parseIpRange } from "../ip_address.ts";
import type { Address, ListenerConfig } from "../config/types.ts";
import type { Limits } from "../limits/limits.ts";
import { RateLimit } from "./rate_limit.ts";
import type { Route } from "./route.ts";
import { MAX_STARTUPS, Startups } from "./startups.ts";

/** Options of {@linkcode Endpoint}. */
export interface EndpointOptions {
  /** Names the address, the same in all isolates. */
  readonly key: string;
  readonly limits: Limits;
}

/**
 * What a connection is accepted on. The routes are replaced whole: a connection that has found its route keeps it,
 * the next one finds the new.
 */
export class Endpoint {
  /** As configured; port 0 = any free one. */
  readonly address: Address;
  /** Clients that have not said yet what they want. */
  readonly startups: Startups;
  /** CancelRequests: their keys may be guessed, and each costs a connection to a backend. */
  readonly cancelRate: RateLimit;
  #table: RouteTable;

  /** @param routes At least one; several have different server names. */
  constructor(routes: readonly Route[], { key, limits }: EndpointOptions) {
    this.address = routes[0]!.config.listener.bindAddress;
    // A socket file is one isolate's alone.
    const isShared = this.address.kind === "tcp";
    this.startups = new Startups(isShared ? limits.shareOf(MAX_STARTUPS) : MAX_STARTUPS);
    this.cancelRate = new RateLimit({ name: ["cancels", key], ...CANCEL_RATE }, limits);
    this.#table = tableOf(routes);
  }

  get routes(): readonly Route[] {
    return this.#table.routes;
  }

  /** Takes other routes for connections that have not found theirs yet. */
  publish(routes: readonly Route[]): void {
    this.#table = tableOf(routes);
  }

  /** What its routes agree on, because it counts before one of them is chosen. */
  get common(): Pick<ListenerConfig, "tlsEnabled" | "startupTimeoutMs"> {
    return this.#table.routes[0]!.config.listener;
  }

  /**
   * Whether a peer has to say whose connection it passes on (`proxy_protocol_from`).
   *
   * @param peer Its IP address; `undefined` if it is gone.
   */
  expectsProxyHeader(peer: string | undefined): boolean {
    const { proxyRanges } = this.#table;
    if (proxyRanges.length === 0 || peer === undefined) return false;
    const address = parseIp(peer);
    return address !== null && proxyRanges.some((range) => isInRange(address, range));
  }

  /** The route of a client that names no server, or one that no route has; `null` if there is none for it. */
  get defaultRoute(): Route | null {
    return this.#table.defaultRoute;
  }

  /** The one route there is to reach, known before the client has said anything; `null` if a name decides. */
  get onlyRoute(): Route | null {
    return this.#table.routes.length === 1 ? this.#table.defaultRoute : null;
  }

  /**
   * The route for a server name: the one that has it, else the one with a wildcard for it, else the default.
   *
   * @param serverName In lower case, without trailing dot; `null` if the client names none.
   */
  routeFor(serverName: string | null): Route | null {
    const { names, defaultRoute } = this.#table;
    if (serverName === null) return defaultRoute;
    return names.get(serverName) ?? names.get(wildcardOf(serverName)) ?? defaultRoute;
  }
}

interface RouteTable {
  readonly routes: readonly Route[];
  readonly names: ReadonlyMap<string, Route>;
  readonly defaultRoute: Route | null;
  readonly proxyRanges: readonly IpRange[];
}

function tableOf(routes: readonly Route[]): RouteTable {
  const names = new Map(
    routes.flatMap((route) => route.config.listener.serverNames.map((name) => [name, route] as const)),
  );
  const defaultRoute = routes.find(({ config }) => config.listener.serverNames.length === 0) ?? null;
  const [first] = routes;
  const proxyRanges = first!.config.listener.proxyProtocolFrom.map((text) => parseIpRange(text)!);
  return { routes, names, defaultRoute, proxyRanges };
}

/** A wildcard stands for one label. */
function wildcardOf(name: string): string {
  return `*${name.slice(Math.max(name.indexOf("."), 0))}`;
}

/**
 * A person, or a pool that ends, cancels some dozens at once. A key of 32 bits is found after 2^31 attempts on average:
 * at 20 a second in more than three years.
 */
const CANCEL_RATE = { burst: 100, perSecond: 20 } as const;
