/** Routes in the form in which workers are given them, with the counts that all workers share. */

import type { Address } from "../config/types.ts";
import { giveBackPlaces, sharedPlaces, takenPlaces } from "../connection/places.ts";
import type { LoadedRoute } from "../load_parts.ts";
import type { RoutePart } from "./messages.ts";

/** Makes parts; a route that stays the same object keeps its revision, and a name its counts. */
export class RouteParts {
  readonly #isolates: number;
  readonly #revisions = new WeakMap<LoadedRoute, number>();
  readonly #counts = new Map<string, Pick<RoutePart, "sessions" | "cancels">>();
  #lastRevision = 0;

  constructor(isolates: number) {
    this.#isolates = isolates;
  }

  /** @param address Where it is bound. */
  of(route: LoadedRoute, address: Address): RoutePart {
    const { config, files, loadedAt } = route;
    const revision = this.#revisions.get(route) ?? ++this.#lastRevision;
    this.#revisions.set(route, revision);
    return {
      config: { ...config, listener: { ...config.listener, bindAddress: address } },
      revision,
      files,
      loadedAt,
      ...this.#countsOf(config.name),
    };
  }

  /** Gives back what an isolate has taken that is no more. */
  giveBack(isolate: number): void {
    for (const { sessions, cancels } of this.#counts.values()) {
      giveBackPlaces(sessions, isolate);
      giveBackPlaces(cancels, isolate);
    }
  }

  /** Forgets the counts of routes that are gone, and empty. */
  retain(routes: readonly LoadedRoute[]): void {
    const names = new Set(routes.map(({ config }) => config.name));
    for (const [name, { sessions, cancels }] of this.#counts) {
      if (names.has(name) || takenPlaces(sessions) > 0 || takenPlaces(cancels) > 0) continue;
      this.#counts.delete(name);
    }
  }

  #countsOf(name: string): Pick<RoutePart, "sessions" | "cancels"> {
    const counts = this.#counts.get(name) ??
      { sessions: sharedPlaces(this.#isolates), cancels: sharedPlaces(this.#isolates) };
    this.#counts.set(name, counts);
    return counts;
  }
}
