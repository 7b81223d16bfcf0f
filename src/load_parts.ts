/**
 * What the operator gave, part by part: a route, or the admin server, with every file it names. Reads no configuration
 * file: whoever has the configuration already, as a worker has, does not need what that takes.
 */

import { UserlistLoader } from "./auth/logins.ts";
import type { Userlist } from "./auth/userlist.ts";
import { filesOfAdmin, filesOfRoute } from "./config/files.ts";
import type { FileReader, FilesFound, Snapshot } from "./config/snapshot.ts";
import type { AdminConfig, RouteConfig, TableFiles } from "./config/types.ts";
import type { Problem } from "./errors.ts";
import { loadApp } from "./scope/load_app.ts";
import type { App } from "./scope/types.ts";
import { type ListenerMaterial, type Loading, MaterialLoader, type RouteMaterial } from "./tls/material.ts";
import { systemBundlePaths } from "./tls/path/system_roots.ts";

/** One route and what was read from the files it names. It is replaced whole, so one that is the same is unchanged. */
export interface LoadedRoute {
  readonly config: RouteConfig;
  readonly material: RouteMaterial;
  /** The connection app; `null` = none. */
  readonly app: App | null;
  /** The users of `auth_file`; `null` without one. */
  readonly users: Userlist | null;
  /** The files it was made from, for another isolate to make it from, too. */
  readonly files: FilesFound;
  /** When that was, in milliseconds since 1970. */
  readonly loadedAt: number;
}

/** The admin server's part; replaced whole, as a route. */
export interface LoadedAdmin {
  readonly config: AdminConfig;
  /** `null` without TLS. */
  readonly material: ListenerMaterial | null;
  readonly files: FilesFound;
}

/** Loads part by part. One for the life of an isolate: what was made of a file that has not changed is not made again. */
export class PartLoader {
  readonly #material = new MaterialLoader();
  readonly #users = new UserlistLoader();

  /**
   * Apps are the operator's code, and are loaded one after the other: they may not expect to run beside themselves.
   *
   * @param options.now By which dates are judged, in milliseconds since 1970. @default the present
   * @param options.rest Waited for between the steps of what may take long, for the sake of those who wait. @default no rest
   */
  async route(
    config: RouteConfig,
    files: Snapshot,
    { now = Date.now(), rest }: { readonly now?: number; readonly rest?: () => Promise<void> } = {},
  ): Promise<Loading<LoadedRoute>> {
    if (rest !== undefined) await this.#material.prepare(config, { files, rest });
    const material = this.#material.route(config, { files, now });
    const users = this.#users.route(config, { files });
    const app = await loadAppOf(config, files);
    if (!material.ok || !users.ok || !app.ok) {
      const problems = [material, users, app].flatMap((part) => part.ok ? [] : part.problems);
      return { ok: false, problems };
    }
    const read = { material: material.value, app: app.value, users: users.value };
    const value = { config, ...read, files: files.pick(pathsOf(config)), loadedAt: now };
    return { ok: true, value, warnings: [...material.warnings, ...users.warnings] };
  }

  /** As {@linkcode PartLoader.route}. */
  admin(config: AdminConfig, files: Snapshot): Loading<LoadedAdmin> {
    const loading = this.#material.admin(config, { files });
    if (!loading.ok) return loading;
    return { ...loading, value: { config, material: loading.value, files: files.pick(pathsOf(config)) } };
  }

  /** What runs out soon, seen from `now`, of a route or the admin server that has been loaded. */
  expiring(config: RouteConfig | AdminConfig, files: Snapshot, now: number): readonly Problem[] {
    const source = { files, now };
    const loading = "backend" in config
      ? this.#material.route(config, source)
      : this.#material.admin(config, source);
    return loading.ok ? loading.warnings.filter(({ kind }) => kind === "expiring") : [];
  }

  /** What is wrong with the files of a configuration that is wrong itself. */
  async problems(tables: readonly TableFiles[], files: FileReader): Promise<Problem[]> {
    const problems = [this.#material, this.#users].flatMap((loader) => loader.problems(tables, { files }));
    return [...problems, ...await appProblems(tables, files)];
  }
}

/** Every file whose change is a change of the route, or of the admin server. */
export function pathsOf(config: RouteConfig | AdminConfig): string[] {
  if (!("backend" in config)) return filesOfAdmin(config).map(({ path }) => path);
  const system = config.backend.rootCa === "system" ? systemBundlePaths() : [];
  return [...filesOfRoute(config).map(({ path }) => path), ...system];
}

/** What is wrong with the apps of a configuration that is wrong itself. */
async function appProblems(tables: readonly TableFiles[], files: FileReader): Promise<Problem[]> {
  const problems: Problem[] = [];
  for (const table of tables) {
    if (!("app" in table)) continue;
    const { path, ...place } = table.place;
    const problem = (message: string) => problems.push({ path: `${path}.app`, ...place, message });
    await loadApp(table.app, files).catch((error: Error) => problem(error.message));
  }
  return problems;
}

async function loadAppOf(
  { app, name, index }: RouteConfig,
  files: FileReader,
): Promise<Loading<App | null>> {
  try {
    return { ok: true, value: app === null ? null : (await loadApp(app, files)).app, warnings: [] };
  } catch (error) {
    const message = (error as Error).message;
    return { ok: false, problems: [{ path: `proxy[${index}].app`, route: name, message }] };
  }
}
