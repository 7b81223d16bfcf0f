/** One address pgtls listens on, and the routes reached through it. */

import type { ListenerConfig, TcpAddress } from "../config/types.ts";
import type { Route } from "./route.ts";

/**
 * What a connection is accepted on. The routes are replaced whole: a connection that has found its route keeps it,
 * the next one finds the new.
 */
export class Endpoint {
  /** As configured; port 0 = any free one. */
  readonly address: TcpAddress;
  #table: RouteTable;

  /** @param routes At least one; several have different server names. */
  constructor(address: TcpAddress, routes: readonly Route[]) {
    this.address = address;
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
}

function tableOf(routes: readonly Route[]): RouteTable {
  const names = new Map(
    routes.flatMap((route) => route.config.listener.serverNames.map((name) => [name, route] as const)),
  );
  const defaultRoute = routes.find(({ config }) => config.listener.serverNames.length === 0) ?? null;
  return { routes, names, defaultRoute };
}

/** A wildcard stands for one label. */
function wildcardOf(name: string): string {
  return `*${name.slice(Math.max(name.indexOf("."), 0))}`;
}
