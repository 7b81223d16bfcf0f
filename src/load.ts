/** Everything the operator gave: the configuration file and every file it names, or everything wrong with them. */

import { readConfigFile } from "./config/load.ts";
import type { Config } from "./config/types.ts";
import { ConfigError } from "./errors.ts";
import { findFileProblems, loadMaterial, type Material } from "./tls/material.ts";

/** A configuration and what was read from the files it names. */
export interface Loaded {
  readonly config: Config;
  readonly material: Material;
}

/**
 * Reads and checks a configuration and its certificates, keys and CA bundles.
 *
 * @throws {ConfigError} With every problem of the configuration, then every problem of the files.
 */
export function load(file: string): Loaded {
  const reading = readConfigFile(file);
  if (reading.config === null) {
    throw new ConfigError(file, [...reading.problems, ...findFileProblems(reading.files)]);
  }
  return { config: reading.config, material: loadMaterial(reading.config) };
}
