/** The lifespans of all apps of a configuration: one for each app, however many routes share it. */

import type { Problem } from "../errors.ts";
import { Lifespan } from "./lifespan.ts";
import type { App } from "./types.ts";

/** A route's app. */
export interface RouteApp {
  readonly app: App;
  /** Name and place of the route, for messages. */
  readonly route: string;
  readonly path: string;
  /** `app_timeout`, in milliseconds. */
  readonly timeoutMs: number;
}

/** Apps that have been told of the start. */
export class Lifespans {
  readonly #entries: { readonly lifespan: Lifespan; readonly owner: RouteApp }[] = [];

  /**
   * Tells each app that pgtls starts, one after another.
   *
   * @returns The lifespans, and what went wrong: then those that had started have been stopped again.
   */
  static async start(apps: readonly RouteApp[]): Promise<{ lifespans: Lifespans; problems: Problem[] }> {
    const lifespans = new Lifespans();
    const problems: Problem[] = [];
    const owners = new Map([...apps].reverse().map((owner) => [owner.app, owner]));
    for (const owner of apps.filter((each) => owners.get(each.app) === each)) {
      try {
        lifespans.#entries.push({ lifespan: await Lifespan.start(owner.app, owner.timeoutMs), owner });
      } catch (error) {
        const message = `Cannot start app: ${(error as Error).message}`;
        problems.push({ path: owner.path, route: owner.route, message });
      }
    }
    if (problems.length > 0) await lifespans.stop(() => {});
    return { lifespans, problems };
  }

  /** Tells each that pgtls stops, all at once. `failed` hears of those that did not stop in order. */
  async stop(failed: (route: string, detail: string) => void): Promise<void> {
    await Promise.all(
      this.#entries.splice(0).map(async ({ lifespan, owner }) => {
        try {
          await lifespan.stop(owner.timeoutMs);
        } catch (error) {
          failed(owner.route, `App has not stopped in order: ${(error as Error).message}`);
        }
      }),
    );
  }
}
