/** Configurations for the tests of this folder: a valid one, and what a changed one is told. */

import { parse as parseToml } from "smol-toml";
import { ConfigError, type Problem } from "../../src/errors.ts";
import { parseConfig } from "../../src/config/parse.ts";
import type { Config } from "../../src/config/types.ts";

/** Lines of the tables of a configuration; each table has what it cannot do without. */
export interface Lines {
  readonly top?: string;
  readonly admin?: string;
  readonly route?: string;
  readonly listener?: string;
  readonly backend?: string;
  /** Whole tables behind the others. */
  readonly more?: string;
}

/** TOML of one route, valid as it is. */
export function toml(lines: Lines = {}): string {
  return [
    lines.top ?? "",
    lines.admin === undefined ? "" : `[admin]\n${lines.admin}`,
    `[[proxy]]\n${lines.route ?? ""}`,
    `[proxy.listener]\n${lines.listener ?? LISTENER}`,
    `[proxy.backend]\n${lines.backend ?? BACKEND}`,
    lines.more ?? "",
  ].join("\n");
}

/** Parses TOML text as the file `/etc/pgtls/pgtls.toml`. */
export function parseText(text: string): Config {
  return parseConfig(parseToml(text), { file: "/etc/pgtls/pgtls.toml" });
}

/** The problems of a TOML text; `[]` if it has none. */
export function problemsOf(text: string): readonly Problem[] {
  try {
    parseText(text);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

export const BIND = 'bind_address = "0.0.0.0:6432"';
export const CERT = 'server_cert = "server.pem"\nserver_key = "server.key"';
export const LISTENER = `${BIND}\n${CERT}`;
export const ADDRESS = 'address = "db.internal:5432"';
export const BACKEND = `${ADDRESS}\nroot_ca = "ca.pem"`;
