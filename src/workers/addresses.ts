/** Which addresses all workers bind, tried out before they do: a port that several share is never reported as taken. */

import { createServer } from "node:net";
import { isListenerConflict } from "../config/address.ts";
import type { Address, RouteConfig } from "../config/types.ts";
import type { Problem } from "../errors.ts";
import type { LoadedRoute } from "../load_parts.ts";
import type { PgtlsEvent } from "../observe/events.ts";
import { bindProblem } from "../server/bind_problem.ts";
import { listenerEvents } from "../server/listener_events.ts";
import { keyOf } from "../server/listener_key.ts";

/** What came of {@linkcode Addresses.claim}. */
export interface Claim {
  /** What can be served: where an address cannot be bound, the route as it was before, if there was one. */
  readonly routes: readonly LoadedRoute[];
  readonly problems: readonly Problem[];
  readonly events: readonly PgtlsEvent[];
}

/** Addresses as they are bound, by the key of `server/listeners.ts`. */
export type Bindings = ReadonlyMap<string, Address>;

/** The addresses of a pool. */
export class Addresses {
  #bound: Bindings = new Map();

  /** What is bound now, for a {@linkcode claim} that goes back to it. */
  get bound(): Bindings {
    return this.#bound;
  }

  /** The address of a route that was claimed, with the port that was chosen where the configuration says 0. */
  of(config: RouteConfig): Address {
    return this.#bound.get(keyOf(config)) ?? config.listener.bindAddress;
  }

  /**
   * Decides what of `wanted` can be served.
   *
   * @param before What is served now.
   * @param known Addresses that need not be tried out: workers have them, or had them a moment ago.
   */
  async claim(
    wanted: readonly LoadedRoute[],
    before: readonly LoadedRoute[],
    known: Bindings = this.#bound,
  ): Promise<Claim> {
    const bound = new Map<string, Address>();
    const problems: Problem[] = [];
    for (const [key, group] of Map.groupBy(wanted, ({ config }) => keyOf(config))) {
      try {
        const { bindAddress } = group[0]!.config.listener;
        bound.set(key, this.#bound.get(key) ?? known.get(key) ?? await this.#tryOut(bindAddress));
      } catch (error) {
        problems.push(...group.map(({ config }) => bindProblem(config, error)));
      }
    }
    const failed = new Set(problems.map(({ route }) => route));
    const kept = before.filter(({ config }) => failed.has(config.name));
    const routes = [...wanted.filter(({ config }) => !failed.has(config.name)), ...kept];
    for (const { config } of kept) bound.set(keyOf(config), this.of(config));
    const closed = this.#events("listener.closed", before, bound);
    const old = this.#bound;
    this.#bound = bound;
    return { routes, problems, events: [...this.#events("listener.bound", routes, old), ...closed] };
  }

  /** Binds it alone for a moment. Where a worker of ours is in the way, that one knows how to share. */
  async #tryOut(address: Address): Promise<Address> {
    // One worker alone listens on a socket file.
    if (address.kind === "unix") return address;
    const isOurs = [...this.#bound.values()].some((other) => isListenerConflict(other, address));
    return isOurs ? address : { ...address, port: await bindOnce(address) };
  }

  /** Of the routes whose address is bound now and not in `elsewhere`. */
  #events(
    event: "listener.bound" | "listener.closed",
    routes: readonly LoadedRoute[],
    elsewhere: ReadonlyMap<string, Address>,
  ): PgtlsEvent[] {
    return routes.filter(({ config }) => !elsewhere.has(keyOf(config)))
      .flatMap((route) => listenerEvents(event, this.of(route.config), [route]));
  }
}

function bindOnce({ host, port }: { readonly host: string; readonly port: number }): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : port));
    });
  });
}
