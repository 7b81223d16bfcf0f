/** The addresses that are bound, and how a reload changes them: new ones first, and nothing for those that stay. */

import { isListenerConflict } from "../config/address.ts";
import { Endpoint } from "../connection/endpoint.ts";
import { type Accepted, listen, type Listener, type ListenOptions } from "../connection/listen.ts";
import type { Route } from "../connection/route.ts";
import type { Problem } from "../errors.ts";
import type { Limits } from "../limits/limits.ts";
import { bindProblem } from "./bind_problem.ts";
import { keyOf } from "./listener_key.ts";

/** An address that is bound, and the routes reached through it. */
export interface Bound {
  readonly endpoint: Endpoint;
  readonly listener: Listener;
}

/** What came of {@linkcode Listeners.apply}. */
export interface Applied {
  readonly opened: readonly Bound[];
  readonly closed: readonly Bound[];
  /** Why routes have not got the address they want: they are served where they were, or not at all. */
  readonly problems: readonly Problem[];
}

/** The listeners of one server. */
export class Listeners {
  readonly #serve: (accepted: Accepted) => void;
  readonly #limits: Limits;
  readonly #options: ListenOptions;
  #bound: ReadonlyMap<string, Bound> = new Map();

  /** @param serve Called for each connection. */
  constructor(
    serve: (accepted: Accepted) => void,
    { limits, ...options }: ListenOptions & { readonly limits: Limits },
  ) {
    this.#serve = serve;
    this.#limits = limits;
    this.#options = options;
  }

  get bound(): readonly Bound[] {
    return [...this.#bound.values()];
  }

  /**
   * Serves `routes` and no others: binds, publishes and closes as needed.
   *
   * An address that is bound already is not touched. A new one is bound before any is closed, unless one that is to
   * be closed stands in its way. Routes whose new address cannot be bound stay where they were.
   */
  async apply(routes: readonly Route[]): Promise<Applied> {
    const wanted = Map.groupBy(routes, (route) => keyOf(route.config));
    const bound = new Map(this.#bound);
    const opened: Bound[] = [];
    const problems: Problem[] = [];
    for (const [key, group] of wanted) {
      if (bound.has(key)) continue;
      try {
        const fresh = await this.#open(group, this.bound.filter((old) => !wanted.has(keyOfBound(old))));
        bound.set(key, fresh);
        opened.push(fresh);
      } catch (error) {
        problems.push(...group.map(({ config }) => bindProblem(config, error)));
        wanted.delete(key);
        for (const [oldKey, kept] of this.#servedBefore(group)) {
          wanted.set(oldKey, [...wanted.get(oldKey) ?? [], ...kept]);
        }
      }
    }
    const closed = [...bound].filter(([key]) => !wanted.has(key));
    for (const [key] of closed) bound.delete(key);
    this.#bound = bound;
    for (const [key, { endpoint }] of bound) endpoint.publish(wanted.get(key)!);
    await Promise.all(closed.map(([, { listener }]) => listener.close()));
    return { opened, closed: closed.map(([, old]) => old), problems };
  }

  /** Closes and binds again whatever is bound. */
  async renew(): Promise<void> {
    await Promise.all(this.bound.map(({ listener }) => listener.renew()));
  }

  /** Closes whatever is bound. */
  async close(): Promise<void> {
    await Promise.all(this.bound.map(({ listener }) => listener.close()));
  }

  /** @param leaving What is to be closed anyway: where it stands in the way it is closed first, and comes back on failure. */
  async #open(group: readonly Route[], leaving: readonly Bound[]): Promise<Bound> {
    const endpoint = new Endpoint(group, { key: keyOf(group[0]!.config), limits: this.#limits });
    try {
      return { endpoint, listener: await listen(endpoint, this.#serve, this.#options) };
    } catch (error) {
      const obstacles = leaving.filter((old) => isListenerConflict(old.endpoint.address, endpoint.address));
      if (obstacles.length === 0) throw error;
      await Promise.all(obstacles.map(({ listener }) => listener.close()));
      try {
        return { endpoint, listener: await listen(endpoint, this.#serve, this.#options) };
      } catch (again) {
        await Promise.all(obstacles.map(({ listener }) => listener.renew()));
        throw again;
      }
    }
  }

  /** The routes of the same names as they are served now, by where that is. */
  #servedBefore(group: readonly Route[]): Map<string, Route[]> {
    const names = new Set(group.map(({ config }) => config.name));
    const before = this.bound.flatMap(({ endpoint }) => endpoint.routes);
    return Map.groupBy(before.filter(({ config }) => names.has(config.name)), ({ config }) => keyOf(config));
  }
}

function keyOfBound({ endpoint }: Bound): string {
  return keyOf(endpoint.routes[0]!.config);
}
