/** Everything the operator gave: the configuration file and every file it names, or everything wrong with them. */

import { readConfigFile } from "./config/load.ts";
import type { Config, RouteConfig } from "./config/types.ts";
import { ConfigError, type Problem } from "./errors.ts";
import { loadApp, type LoadedApp } from "./scope/load_app.ts";
import { findFileProblems, loadMaterial, type Material } from "./tls/material.ts";

/** A configuration and what was read from the files it names. */
export interface Loaded {
  readonly config: Config;
  readonly material: Material;
  /** The connection apps, as `config.routes`, index by index; `null` for a route without. */
  readonly apps: readonly (LoadedApp | null)[];
}

/**
 * Reads and checks a configuration, its certificates, keys and CA bundles, and loads its connection apps.
 *
 * @throws {ConfigError} With every problem of the configuration, then every problem of the files.
 */
export async function load(file: string): Promise<Loaded> {
  const reading = readConfigFile(file);
  if (reading.config === null) {
    throw new ConfigError(file, [...reading.problems, ...findFileProblems(reading.files)]);
  }
  const { config } = reading;
  const problems: Problem[] = [];
  const material = readMaterial(config, problems);
  const apps = await loadApps(config, problems);
  if (material === null || problems.length > 0) throw new ConfigError(config.file, problems);
  return { config, material, apps };
}

function readMaterial(config: Config, problems: Problem[]): Material | null {
  try {
    return loadMaterial(config);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    problems.push(...error.problems);
    return null;
  }
}

/** One after another: apps are the operator's code, and may not expect to run beside themselves. */
async function loadApps(config: Config, problems: Problem[]): Promise<(LoadedApp | null)[]> {
  const apps: (LoadedApp | null)[] = [];
  for (const route of config.routes) apps.push(await loadAppOf(route, problems));
  return apps;
}

async function loadAppOf({ app, name, index }: RouteConfig, problems: Problem[]): Promise<LoadedApp | null> {
  if (app === null) return null;
  try {
    return await loadApp(app);
  } catch (error) {
    problems.push({ path: `proxy[${index}].app`, route: name, message: (error as Error).message });
    return null;
  }
}
