/** Reads the configuration file. */

import { resolve } from "node:path";
import { parse as parseToml, TomlError } from "smol-toml";
import { ConfigError } from "../errors.ts";
import { readConfig, type Reading } from "./parse.ts";
import { type FileReader, Snapshot } from "./snapshot.ts";
import type { Config } from "./types.ts";

/**
 * Reads and parses a configuration file. The files it names are not opened: that is `tls/material.ts`.
 *
 * @param path A TOML file, UTF-8, of at most 1 MiB.
 * @throws {ConfigError} If it cannot be read, is not TOML or is not a configuration; with every problem.
 * @see {@link https://toml.io/en/v1.0.0 | TOML}
 */
export function loadConfig(path: string): Config {
  const reading = readConfigFile(path);
  if (reading.config === null) throw new ConfigError(path, reading.problems);
  return reading.config;
}

/**
 * As {@linkcode loadConfig}, for a caller who wants to look at the files of a wrong configuration, too.
 *
 * @throws {ConfigError} If the file cannot be read or is not TOML.
 */
export function readConfigFile(path: string, files: FileReader = new Snapshot()): Reading {
  return readConfig(parseText(readText(path, files), path), { file: resolve(path) });
}

function readText(path: string, files: FileReader): string {
  try {
    const { bytes } = files.read(path, { limitBytes: LIMIT_BYTES });
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    const message = cause instanceof TypeError
      ? "Cannot read the text of this file: it is not UTF-8, expected a TOML file"
      : (cause as Error).message;
    throw new ConfigError(path, [{ path: "", message }], { cause });
  }
}

function parseText(text: string, path: string): unknown {
  try {
    return parseToml(text);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    const message = `Cannot parse TOML at line ${cause.line}, column ${cause.column}: ${reasonOf(cause)}` +
      showLine(text, cause.line);
    throw new ConfigError(path, [{ path: "", message }], { cause });
  }
}

/** The parser puts a fixed phrase before the reason and a picture of the code after it. */
function reasonOf(error: TomlError): string {
  return (error.message.split("\n", 1)[0] ?? "").replace("Invalid TOML document: ", "");
}

/** The line itself, if there is anything on it; nothing of a file that a key was pasted into. */
function showLine(text: string, line: number): string {
  const found = (text.split("\n", line)[line - 1] ?? "").trimEnd();
  if (found === "" || text.includes("PRIVATE KEY")) return "";
  return `\n    ${found.slice(0, 120).replace(/(?!\t)\p{Cc}/gu, "\ufffd")}`;
}

/** A configuration of a thousand routes is some 300 KB. */
const LIMIT_BYTES = 1024 * 1024;
