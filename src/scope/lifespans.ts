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

/** Hears of an app that did not stop in order. */
export type LifespanFailed = (route: string, detail: string) => void;

/** Apps that have been told of the start. */
export class Lifespans {
  readonly #running = new Map<App, { readonly lifespan: Lifespan; readonly owner: RouteApp }>();

  /**
   * Tells each app that is not running yet that pgtls starts, one after another.
   *
   * @returns What went wrong, for every route of an app that cannot start.
   */
  async start(apps: readonly RouteApp[]): Promise<Problem[]> {
    const problems: Problem[] = [];
    for (const [app, owners] of Map.groupBy(apps, (each) => each.app)) {
      if (this.#running.has(app)) continue;
      const owner = owners[0]!;
      try {
        this.#running.set(app, { lifespan: await Lifespan.start(app, owner.timeoutMs), owner });
      } catch (error) {
        const message = `Cannot start app: ${(error as Error).message}`;
        problems.push(...owners.map(({ path, route }) => ({ path, route, message })));
      }
    }
    return problems;
  }

  /** Tells each that is not among `apps` that it stops: a reload has brought another. */
  async retain(apps: ReadonlySet<App>, failed: LifespanFailed): Promise<void> {
    await this.#stop([...this.#running.keys()].filter((app) => !apps.has(app)), failed);
  }

  /** Tells each that pgtls stops, all at once. `failed` hears of those that did not stop in order. */
  async stop(failed: LifespanFailed): Promise<void> {
    await this.#stop([...this.#running.keys()], failed);
  }

  async #stop(apps: readonly App[], failed: LifespanFailed): Promise<void> {
    await Promise.all(apps.map(async (app) => {
      const { lifespan, owner } = this.#running.get(app)!;
      this.#running.delete(app);
      try {
        await lifespan.stop(owner.timeoutMs);
      } catch (error) {
        failed(owner.route, `App has not stopped in order: ${(error as Error).message}`);
      }
    }));
  }
}
