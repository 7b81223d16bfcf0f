/** Decides, for each route and for the admin server, whether it stays as it is, is replaced, or goes on with the old. */

import { filesOfAdmin, filesOfRoute } from "../config/files.ts";
import { changedPaths, type FilesFound, type Snapshot } from "../config/snapshot.ts";
import type { AdminConfig, RouteConfig } from "../config/types.ts";
import type { Problem } from "../errors.ts";
import { pathsOf } from "../load_parts.ts";
import type { ReloadProblem } from "../observe/reload_state.ts";
import type { Loading } from "../tls/material.ts";

/** A route, or the admin server, as it is served. */
export interface Part<Config> {
  readonly config: Config;
  readonly files: FilesFound;
}

/** One part of what is to be served. */
export interface Wanted<Config, Loaded extends Part<Config>> {
  readonly config: Config;
  /** What is served now; `null` if it is new. */
  readonly before: Loaded | null;
  readonly load: () => Promise<Loading<Loaded>>;
}

/** What has been decided about a part. */
export interface Decision<Loaded> {
  /** The route's name; `null`: the admin server. */
  readonly name: string | null;
  /** What is to be served; `null`: nothing, it is new and cannot be used. */
  readonly part: Loaded | null;
  /** `restored`: what could not be used has been taken back, and is as it was. */
  readonly outcome: "unchanged" | "restored" | "loaded" | "failed" | "failed_before";
  /** Files that differ from those in use; where they were restored, those that did. */
  readonly files: readonly string[];
  readonly warnings: readonly Problem[];
}

type PartConfig = RouteConfig | AdminConfig;

/** Decides, and remembers what could not be used, so that it is not tried and told again at every look. */
export class Parts {
  readonly #failed = new Map<string | null, Failed>();
  /** What has failed since {@linkcode takeNews}. */
  #news: ReloadProblem[] = [];

  /** Everything that is asked for and cannot be used. */
  get problems(): ReloadProblem[] {
    return [...this.#failed.values()].flatMap(({ problems }) => problems);
  }

  /** What has come to {@linkcode problems} since the last call. */
  takeNews(): ReloadProblem[] {
    const news = this.#news;
    this.#news = [];
    return news;
  }

  /** @param options.isAsked Somebody wants to know: what does not work is tried, and told, again. */
  async decide<Config extends PartConfig, Loaded extends Part<Config>>(
    { config, before, load }: Wanted<Config, Loaded>,
    { files, isAsked }: { readonly files: Snapshot; readonly isAsked: boolean },
  ): Promise<Decision<Loaded>> {
    const name = nameOf(config);
    const found = files.pick(pathsOf(config));
    const changed = changedPaths(before?.files ?? new Map(), found);
    const same = before && changed.length === 0 ? sameWith(before, config) : null;
    if (same !== null) {
      const failed = this.#failed.get(name);
      this.#failed.delete(name);
      const outcome = failed === undefined ? "unchanged" : "restored";
      return { name, part: same, outcome, files: failed ? filesOf(failed) : [], warnings: [] };
    }
    const kept = { name, part: before, files: changed, warnings: [] };
    if (!isAsked && this.#wasTried(config, found)) return { ...kept, outcome: "failed_before" };
    const loading = await load();
    if (!loading.ok) {
      this.fail(config, { files: found, problems: loading.problems, isAsked });
      return { ...kept, outcome: "failed" };
    }
    this.#failed.delete(name);
    return { name, part: loading.value, outcome: "loaded", files: changed, warnings: loading.warnings };
  }

  /** Notes that a part cannot be used as it is. */
  fail(
    config: PartConfig,
    options: {
      readonly files: FilesFound;
      readonly problems: readonly Problem[];
      readonly isAsked: boolean;
    },
  ): void {
    const { files, isAsked } = options;
    const name = nameOf(config);
    const problems = options.problems.map((problem) => ({ ...problem, file: fileOf(problem, config) }));
    const known = this.#failed.get(name);
    this.#failed.set(name, { config, files, problems, triedAt: performance.now() });
    if (isAsked || !isSame(known?.problems, problems)) this.#news.push(...problems);
  }

  /** Forgets what failed of parts that are not wanted any more. */
  retain(configs: readonly PartConfig[]): void {
    const names = new Set(configs.map(nameOf));
    for (const name of this.#failed.keys()) if (!names.has(name)) this.#failed.delete(name);
  }

  /** A certificate becomes valid, and a port free, without a change of any file: so it is tried again now and then. */
  #wasTried(config: PartConfig, found: FilesFound): boolean {
    const failed = this.#failed.get(nameOf(config));
    return failed !== undefined && isSame(failed.config, config) &&
      changedPaths(failed.files, found).length === 0 && performance.now() - failed.triedAt < RETRY_MS;
  }
}

interface Failed {
  readonly config: PartConfig;
  readonly files: FilesFound;
  readonly problems: readonly ReloadProblem[];
  /** As `performance.now()`. */
  readonly triedAt: number;
}

function filesOf({ problems }: Failed): string[] {
  return [...new Set(problems.flatMap(({ file }) => file ?? []))];
}

/** `before` itself if nothing about it changes; with its new place if it has only moved within the file. */
function sameWith<Config extends PartConfig, Loaded extends Part<Config>>(
  before: Loaded,
  config: Config,
): Loaded | null {
  if (isSame(before.config, config)) return before;
  const moved = "index" in config ? { ...before.config, index: config.index } : before.config;
  return isSame(moved, config) ? { ...before, config } : null;
}

/** Configurations are plain data, built with their keys always in the same order. */
function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function nameOf(config: PartConfig): string | null {
  return "backend" in config ? config.name : null;
}

/** The file a problem is about: problems carry the path of the key that names it. */
function fileOf(problem: Problem, config: PartConfig): string | null {
  const [table, named] = "backend" in config
    ? [`proxy[${config.index}]`, filesOfRoute(config)]
    : ["admin", filesOfAdmin(config)];
  return named.find(({ key }) => problem.path === `${table}.${key}`)?.path ?? null;
}

const RETRY_MS = 60_000;
