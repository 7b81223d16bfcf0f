/** What serves connections, in this isolate or in several: all that the rest of the process knows of it. */

import type { Problem } from "../errors.ts";
import type { LoadedRoute } from "../load_parts.ts";
import type { LiveBytes, PgtlsEvent } from "../observe/events.ts";

/** A bound address and a route reached through it. */
export interface BoundAddress {
  readonly route: string;
  /** The route's position in the configuration; there is one entry for each. */
  readonly index: number;
  /** Of a unix socket, its path. */
  readonly host: string;
  /** Of a unix socket, 0. */
  readonly port: number;
}

/** What came of {@linkcode Serving.apply}. */
export interface Applied {
  /**
   * Why routes could not be bound, or their apps not be started: those are served as before, or, if they are new, not
   * at all.
   */
  readonly problems: readonly Problem[];
  /** Listeners that were bound and closed, for whoever it is to be told. */
  readonly events: readonly PgtlsEvent[];
}

/** Serves the routes it is given. */
export interface Serving {
  /** Isolates that serve. */
  readonly workers: number;
  /** Every route that is served, in the order of the configuration, with the port the system chose where that says 0. */
  readonly addresses: readonly BoundAddress[];
  /** How many connections are open now, in whatever stage. */
  readonly connections: number;
  readonly liveBytes: LiveBytes;
  /**
   * Serves these routes from now on, and no others. Open connections live on, whatever has become of their
   * route; a route that is the same object as before is not touched.
   */
  apply(routes: readonly LoadedRoute[]): Promise<Applied>;
  /**
   * Stops accepting, ends idle sessions with 57P01, lets busy ones finish, and after `timeoutMs` ends those too.
   *
   * @returns How many connections the timeout cut.
   */
  drain(timeoutMs: number): Promise<number>;
}
