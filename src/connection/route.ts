/** One `[[proxy]]` as connections see it: configuration, loaded material, and who is in. */

import type { RouteConfig } from "../config/types.ts";
import type { TlsAcceptor } from "../tls/acceptor.ts";
import type { RouteMaterial } from "../tls/material.ts";

/** Everything a connection needs to know about its route. Immutable but for the count of sessions. */
export interface Route {
  readonly config: RouteConfig;
  /** `null` if and only if the listener does not do TLS. */
  readonly acceptor: TlsAcceptor | null;
  readonly material: RouteMaterial;
  readonly sessions: SessionCount;
}

/** How many sessions of a route are past authorization, against `max_connections`. */
export class SessionCount {
  readonly #limit: number;
  #open = 0;

  /** @param limit 0 = no limit. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get open(): number {
    return this.#open;
  }

  /** Takes a place, and returns the function that gives it back (once); `null` when there is none. */
  enter(): (() => void) | null {
    if (this.#limit > 0 && this.#open >= this.#limit) return null;
    this.#open++;
    let isInside = true;
    return () => {
      if (isInside) this.#open--;
      isInside = false;
    };
  }
}
