/** One address pgtls listens on, and the routes reached through it. */

import type { TcpAddress } from "../config/types.ts";
import type { Route } from "./route.ts";

/**
 * What a connection is accepted on. The routes are replaced whole: a connection that has found its route keeps it,
 * the next one finds the new.
 */
export class Endpoint {
  /** As configured; port 0 = any free one. */
  readonly address: TcpAddress;
  #routes: readonly Route[];

  /** @param routes At least one. */
  constructor(address: TcpAddress, routes: readonly Route[]) {
    this.address = address;
    this.#routes = routes;
  }

  get routes(): readonly Route[] {
    return this.#routes;
  }

  /** Takes other routes for connections that have not found theirs yet. */
  publish(routes: readonly Route[]): void {
    this.#routes = routes;
  }

  /** The route of a client that names no server. */
  get defaultRoute(): Route {
    return this.#routes[0]!;
  }

  /** The one route there is to reach, known before the client has said anything; `null` if there are several. */
  get onlyRoute(): Route | null {
    return this.#routes.length === 1 ? this.#routes[0]! : null;
  }
}
