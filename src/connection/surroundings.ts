/** What a connection needs of the server around it. */

import type { Observer } from "../observe/events.ts";
import type { LentBackends } from "./lent_backends.ts";
import type { Progress } from "./progress.ts";
import type { Route } from "./route.ts";

/** The same for all connections of an isolate. */
export interface Surroundings {
  readonly observe: Observer;
  /** Every connection that is open now; each enters and leaves by itself. */
  readonly connections: Set<Progress>;
  /** The route of that name as it is now, for an app that chooses another's backend. */
  readonly findRoute: (name: string) => Route | undefined;
  readonly lentBackends: LentBackends;
}
