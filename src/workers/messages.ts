/** What the main isolate and a worker say to each other. All of it is plain data. */

import type { FilesFound } from "../config/snapshot.ts";
import type { RouteConfig } from "../config/types.ts";
import type { LimitsMemory } from "../limits/limits.ts";
import type { RelayedBytes } from "../observe/events.ts";
import type { Applied } from "../server/serving.ts";
import type { EventBatch } from "./event_sender.ts";

/** A route as a worker is given it. */
export interface RoutePart {
  /** With the port as it is bound, where the configuration says 0. */
  readonly config: RouteConfig;
  /** Another one for each new state of a route: a worker keeps what it has made of one it knows. */
  readonly revision: number;
  /** What it is loaded from: a worker reads no certificate of its own. */
  readonly files: FilesFound;
  /** When the main isolate loaded it, in milliseconds since 1970: it was in date then, and is taken as it was. */
  readonly loadedAt: number;
  /** Of `connection/places.ts`: shared by all workers. */
  readonly sessions: SharedArrayBuffer;
  readonly cancels: SharedArrayBuffer;
}

/** Where a worker stands among the others. */
export interface Place {
  /** From 0. */
  readonly index: number;
  /** A file it may open. */
  readonly file: string;
  /** Descriptors to leave for others. */
  readonly reserve: number;
  /** Of `connection/descriptors.ts`: shared by all workers. */
  readonly descriptors: SharedArrayBuffer;
  readonly limits: LimitsMemory;
}

/** What a worker is given first of all. */
export interface Beginning extends Place {
  /** Of `event_tally.ts`: of this worker alone. */
  readonly tally: SharedArrayBuffer;
}

/** What a worker is asked to do, each answered once, and by what. */
export interface Requests {
  /** Begin; first of all. */
  readonly start: { readonly asked: Beginning; readonly answer: null };
  /** Serve these routes and no others. */
  readonly apply: { readonly asked: readonly RoutePart[]; readonly answer: Applied };
  readonly liveBytes: { readonly asked: null; readonly answer: ReadonlyMap<string, RelayedBytes> };
  /** Are you there? */
  readonly ping: { readonly asked: null; readonly answer: null };
  /** End, within this many milliseconds; answered with the number of connections that were cut. */
  readonly drain: { readonly asked: number; readonly answer: number };
}

export type RequestName = keyof Requests;

/** From the main isolate to a worker. */
export type ToWorker =
  | {
    [Name in RequestName]: {
      readonly kind: "request";
      readonly id: number;
      readonly name: Name;
      readonly asked: Requests[Name]["asked"];
    };
  }[RequestName]
  | Lent;

/** From a worker to the main isolate. */
export type FromWorker =
  /** It listens to messages now. */
  | { readonly kind: "hello" }
  | { readonly kind: "answer"; readonly id: number; readonly answer: unknown }
  | { readonly kind: "failed"; readonly id: number; readonly error: string }
  | { readonly kind: "events"; readonly batch: EventBatch }
  /** It has collected its garbage. */
  | { readonly kind: "collected" }
  | Lent;

/** An app has sent sessions of `route` to the backend of `lender`: all have to know where a CancelRequest may belong. */
export interface Lent {
  readonly kind: "lent";
  readonly route: string;
  readonly lender: string;
}
