/** Apps made of parts: each part does one thing and leaves the rest to the next. */

import { accept } from "./apps/accept.ts";
import type { App } from "./types.ts";

/** Makes an app of the app behind it: it may answer itself, or pass on, and change what goes by. */
export type Middleware = (next: App) => App;

/**
 * Puts middlewares before an app: the first is the first to see a connection.
 *
 * @param app What is asked when all of them pass on. @default accepts everybody
 */
export function compose(middlewares: readonly Middleware[], app: App = accept): App {
  return middlewares.reduceRight((next, middleware) => middleware(next), app);
}
