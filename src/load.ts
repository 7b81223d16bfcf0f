/** Everything the operator gave: the configuration file and every file it names, or everything wrong with them. */

import { readConfigFile } from "./config/load.ts";
import { type FileReader, Snapshot } from "./config/snapshot.ts";
import type { Config } from "./config/types.ts";
import { ConfigError, type Problem } from "./errors.ts";
import { type LoadedAdmin, type LoadedRoute, PartLoader } from "./load_parts.ts";
import type { Loading } from "./tls/material.ts";

/** A configuration and what was read from the files it names. */
export interface Loaded {
  readonly config: Config;
  /** As `config.routes`, index by index. */
  readonly routes: readonly LoadedRoute[];
  readonly admin: LoadedAdmin | null;
  /** What can be used but needs attention, in the order of the file. */
  readonly warnings: readonly Problem[];
}

/**
 * Reads and checks a configuration, its certificates, keys, CA bundles and password files, and loads its connection apps.
 *
 * @param loader The one of this process, for a later reload to go on with.
 * @throws {ConfigError} With every problem of the configuration, then every problem of the files.
 */
export async function load(file: string, loader: Loader = new Loader()): Promise<Loaded> {
  const files = new Snapshot();
  const config = await loader.config(file, files);
  const admin = config.admin && loader.admin(config.admin, files);
  const routes: Loading<LoadedRoute>[] = [];
  for (const route of config.routes) routes.push(await loader.route(route, files));
  const loadings = admin === null ? routes : [admin, ...routes];
  const problems = loadings.flatMap((loading) => loading.ok ? [] : loading.problems);
  if (problems.length > 0) throw new ConfigError(config.file, problems);
  return {
    config,
    admin: admin?.ok ? admin.value : null,
    routes: routes.flatMap((loading) => loading.ok ? [loading.value] : []),
    warnings: loadings.flatMap((loading) => loading.ok ? loading.warnings : []),
  };
}

/** Loads the configuration, too. One for the life of the process. */
export class Loader extends PartLoader {
  /** @throws {ConfigError} With every problem, those of the files it names among them. */
  async config(file: string, files: FileReader): Promise<Config> {
    const reading = readConfigFile(file, files);
    if (reading.config !== null) return reading.config;
    throw new ConfigError(file, [...reading.problems, ...await this.problems(reading.files, files)]);
  }
}
