/**
 * Takes a new configuration and new files into use: everything is read and checked first, then published at once, and
 * the old stays wherever the new cannot be used.
 */

import { findConfigConflicts } from "../config/route_conflicts.ts";
import { type FilesFound, Snapshot } from "../config/snapshot.ts";
import type { Config } from "../config/types.ts";
import { ConfigError, type Problem } from "../errors.ts";
import type { Loaded, Loader } from "../load.ts";
import { type LoadedRoute, pathsOf } from "../load_parts.ts";
import type { Observer } from "../observe/events.ts";
import { warningEvent } from "../observe/warnings.ts";
import { freshlyLoaded, type ReloadProblem, type ReloadState } from "../observe/reload_state.ts";
import { Pace } from "../pace.ts";
import { changesOf, compose, without } from "./changes.ts";
import { type Decision, Parts } from "./parts.ts";

/** Options of {@linkcode Reloader}. */
export interface ReloaderOptions {
  /** The one that made `loaded`: it recognizes what has not changed. */
  readonly loader: Loader;
  /** What is in use now. */
  readonly loaded: Loaded;
  /** Takes something else into use. Returns what of it could not be: that goes on as before. Must not reject. */
  readonly apply: (loaded: Loaded) => Promise<readonly Problem[]>;
  readonly observe: Observer;
}

/** One for the process. Its reloads run one after the other. */
export class Reloader {
  readonly #options: ReloaderOptions;
  readonly #parts = new Parts();
  #loaded: Loaded;
  /** The last configuration that passed: where a part of it cannot be used yet, it is tried again. */
  #wanted: Config;
  /** Everything the last reload found on the disk. */
  #files: FilesFound;
  /** Why the configuration file could not be taken when it was last read. */
  #refused: readonly ReloadProblem[] = [];
  #state = freshlyLoaded();
  #last: Promise<unknown> = Promise.resolve();
  #isStopped = false;

  constructor(options: ReloaderOptions) {
    const { loaded } = options;
    this.#options = options;
    this.#loaded = loaded;
    this.#wanted = loaded.config;
    this.#files = filesOf(loaded);
  }

  get state(): ReloadState {
    return this.#state;
  }

  /** What is in use. */
  get loaded(): Loaded {
    return this.#loaded;
  }

  /** The files whose change is to be followed by {@linkcode refresh}. */
  get paths(): readonly string[] {
    return configsOf(this.#wanted).flatMap(pathsOf);
  }

  /** Reads the configuration file and every file it names, because somebody has asked for it. */
  reload(): Promise<ReloadState> {
    return this.#enqueue(async () => {
      const files = new Snapshot(this.#files);
      const { file } = this.#loaded.config;
      try {
        await this.#take(await this.#options.loader.config(file, files), { files, isAsked: true });
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        this.#refuse(error.problems);
      }
    });
  }

  /** Takes files that have changed; the configuration stays the one that passed last. */
  refresh(): Promise<ReloadState> {
    return this.#enqueue(() =>
      this.#take(this.#wanted, { files: new Snapshot(this.#files), isAsked: false })
    );
  }

  /** Says which certificates run out soon: that comes with the days, without a change of any file. */
  async remind(now = Date.now()): Promise<void> {
    await this.#enqueue(() => {
      for (const { config } of partsOf(this.#loaded)) {
        const problems = this.#options.loader.expiring(config, new Snapshot(this.#files), now);
        for (const problem of problems) this.#options.observe(warningEvent(problem));
      }
      return Promise.resolve();
    });
  }

  /** Waits for what is under way; from now on nothing is reloaded any more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#last;
  }

  #enqueue(action: () => Promise<void>): Promise<ReloadState> {
    const run = this.#last.then(() => this.#isStopped ? undefined : action()).then(() => this.#state);
    this.#last = run.catch(() => {});
    return run;
  }

  async #take(config: Config, how: How): Promise<void> {
    const { routes, admin } = await this.#decide(config, how);
    this.#files = how.files.found;
    const next = compose(config, {
      routes: routes.flatMap(({ part }) => part ?? []),
      admin: admin?.part ?? null,
    });
    // Only what is put together of old and new can have any: the file itself has been checked.
    const conflicts = findConfigConflicts(next.config);
    if (conflicts.length > 0) return this.#refuse(conflicts);
    const before = this.#loaded;
    this.#wanted = config;
    this.#parts.retain(configsOf(config));
    if (how.isAsked) this.#refused = [];
    const { any } = changesOf(before, next);
    if (any) await this.#publish(next, how);
    const decisions = admin === null ? routes : [admin, ...routes];
    const isAttempt = how.isAsked || decisions.some(({ outcome }) => ATTEMPTS.has(outcome));
    this.#settle({ isAttempt, isNew: any });
    this.#report(decisions);
    if (how.isAsked) this.#reportReload(before);
  }

  async #decide(config: Config, how: How) {
    const { loader } = this.#options;
    const { routes, admin } = this.#loaded;
    const before = new Map(routes.map((route) => [route.config.name, route]));
    const decisions: Decision<LoadedRoute>[] = [];
    // A hundred routes must not keep connections waiting.
    const pace = new Pace();
    for (const route of config.routes) {
      await pace.rest();
      const load = () => loader.route(route, how.files, { rest: () => pace.rest() });
      decisions.push(
        await this.#parts.decide({ config: route, before: before.get(route.name) ?? null, load }, how),
      );
    }
    if (config.admin === null) return { routes: decisions, admin: null };
    const wanted = config.admin;
    const load = () => Promise.resolve(loader.admin(wanted, how.files));
    return {
      routes: decisions,
      admin: await this.#parts.decide({ config: wanted, before: admin, load }, how),
    };
  }

  async #publish(next: Loaded, { isAsked }: How): Promise<void> {
    const problems = await this.#options.apply(next);
    const failed = Map.groupBy(problems, ({ route }) => route ?? null);
    for (const { config, files } of partsOf(next)) {
      const own = failed.get("backend" in config ? config.name : null);
      if (own !== undefined) this.#parts.fail(config, { files, problems: own, isAsked });
    }
    this.#loaded = without(next, new Set(failed.keys()), this.#loaded);
  }

  /** The configuration as a whole cannot be used: nothing has changed. */
  #refuse(problems: readonly Problem[]): void {
    const { file } = this.#loaded.config;
    this.#refused = problems.map((problem) => ({ ...problem, file }));
    this.#settle({ isAttempt: true, isNew: false });
    this.#options.observe({ event: "config.reload_failed", file, problems });
  }

  #settle({ isAttempt, isNew }: { readonly isAttempt: boolean; readonly isNew: boolean }): void {
    const { generation, last, succeededAt } = this.#state;
    const problems = [...this.#refused, ...this.#parts.problems];
    const ok = problems.length === 0;
    const now = Date.now();
    this.#state = {
      generation: generation + (isNew ? 1 : 0),
      last: { ok, at: isAttempt ? now : last.at, problems },
      succeededAt: isAttempt && ok ? now : succeededAt,
    };
  }

  #report(decisions: readonly Decision<unknown>[]): void {
    const { observe } = this.#options;
    const served: ReadonlySet<unknown> = new Set(partsOf(this.#loaded));
    for (const { part, name, outcome, files, warnings } of decisions) {
      if (!TAKEN.has(outcome) || !served.has(part)) continue;
      if (files.length > 0) observe({ event: "tls.reloaded", route: name, files });
      for (const problem of warnings) observe(warningEvent(problem));
    }
    for (const { route = null, file, message } of this.#parts.takeNews()) {
      observe({ event: "tls.reload_failed", route, file, detail: message });
    }
  }

  #reportReload(before: Loaded): void {
    const { added, changed, removed } = changesOf(before, this.#loaded);
    const { file } = this.#loaded.config;
    const { generation } = this.#state;
    this.#options.observe({ event: "config.reloaded", file, generation, added, changed, removed });
  }
}

interface How {
  readonly files: Snapshot;
  readonly isAsked: boolean;
}

function partsOf({ routes, admin }: Loaded) {
  return admin === null ? routes : [admin, ...routes];
}

function configsOf({ routes, admin }: Config) {
  return admin === null ? routes : [admin, ...routes];
}

function filesOf(loaded: Loaded): FilesFound {
  return new Map(partsOf(loaded).flatMap(({ files }) => [...files]));
}

const TAKEN: ReadonlySet<string> = new Set(["loaded", "restored"]);

const ATTEMPTS: ReadonlySet<string> = new Set([...TAKEN, "failed"]);
