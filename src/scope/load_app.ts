/** Loads the file of a connection app: TypeScript or JavaScript, by dynamic import. */

import { createHash } from "node:crypto";
import { pathToFileURL } from "node:url";
import { type FileReader, Snapshot } from "../config/snapshot.ts";
import type { App } from "./types.ts";

/** An app and what it was loaded from. */
export interface LoadedApp {
  readonly app: App;
  /** Absolute path. */
  readonly file: string;
  /** SHA-256 of the file, hexadecimal: another version is another app. */
  readonly version: string;
}

/**
 * Imports the default function of `file`.
 *
 * A file is imported once for each version of it, however many routes name it; a version that failed is tried anew.
 * The runtime reads the file itself: where it is not the version that `files` holds any more, it is not used, so that a
 * worker never decides by what nobody has taken into use.
 * What the file itself imports is the runtime's to keep: found or not, it is looked for once in the life of a process.
 *
 * @param file Absolute path.
 * @param files Says which version it is.
 * @throws {Error} Saying what is wrong: the file is missing, does not parse, throws, takes too long, or has no default
 * function.
 */
export async function loadApp(file: string, files: FileReader = new Snapshot()): Promise<LoadedApp> {
  const version = readVersion(file, files);
  const module = imported.get(addressOf(file, version)) ?? await importVersion(file, version);
  const app = (module as { readonly default?: unknown }).default;
  if (typeof app !== "function") {
    const state = app === undefined ? "it has no default export" : "its default export is no function";
    throw new Error(`Cannot use app "${file}": ${state}, expected ${WANTED}`);
  }
  return Object.freeze({ app: app as App, file, version });
}

/**
 * The version of `file` as it is now.
 *
 * @throws {Error} If it cannot be read.
 */
export function readVersion(file: string, files: FileReader = new Snapshot()): string {
  const { bytes } = files.read(file);
  return createHash("sha256").update(bytes).digest("hex");
}

async function importVersion(file: string, version: string): Promise<object> {
  const address = addressOf(file, version);
  // A URL that failed goes on failing, even if it was something else that was out of order.
  const attempts = failures.get(address) ?? 0;
  try {
    requireVersion(file, version);
    const module = await withinTime(import(attempts === 0 ? address : `${address}&attempt=${attempts + 1}`));
    requireVersion(file, version);
    imported.set(address, module);
    return module;
  } catch (error) {
    failures.set(address, attempts + 1);
    throw new Error(`Cannot load app "${file}": ${explain(error)}`, { cause: error });
  }
}

function addressOf(file: string, version: string): string {
  const url = pathToFileURL(file);
  url.searchParams.set("version", version);
  return url.href;
}

/** Before the import, so that no other version runs, and behind it, because it may have come in between. */
function requireVersion(file: string, version: string): void {
  if (readVersion(file) !== version) {
    throw new AppChanged("it has changed since it was read, expected a reload");
  }
}

/** An import waits for the file's own top-level `await`, which may never end. */
async function withinTime(imported: Promise<object>): Promise<object> {
  const late = Promise.withResolvers<never>();
  const message =
    `it has not finished loading within ${LOAD_TIMEOUT_MS} ms, expected no endless top-level await`;
  const timer = setTimeout(() => late.reject(new ImportLate(message)), LOAD_TIMEOUT_MS);
  // When it is late, what becomes of it is nobody's business.
  imported.catch(() => {});
  try {
    return await Promise.race([imported, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

class ImportLate extends Error {}

class AppChanged extends Error {}

/** The runtime's errors are pictures of several lines in colour: the first line and the place say it all. */
function explain(error: unknown): string {
  if (error instanceof ImportLate || error instanceof AppChanged) return error.message;
  if (!(error instanceof Error)) return `it throws on import: ${String(error)}`;
  // deno-lint-ignore no-control-regex
  const lines = error.message.replace(/\x1b\[[0-9;]*m/g, "").split("\n");
  const place = lines.map((line) => PLACE.exec(line)).find((found) => found !== null);
  const where = place ? ` at ${place[1]}${place[2]}` : "";
  const [first = ""] = lines;
  if (error instanceof SyntaxError || first.startsWith("SyntaxError: ")) {
    return `it does not parse: ${first.replace("SyntaxError: ", "")}${where}`;
  }
  if ((error as { code?: unknown }).code === "ERR_MODULE_NOT_FOUND") {
    return `what it imports cannot be loaded: ${first}${where}`;
  }
  return `it throws on import: ${error.name}: ${first}`;
}

/** What has been imported, by address: a version in use can be asked for when its file has long become another. */
const imported = new Map<string, object>();

/** How often each version of a file could not be imported. */
const failures = new Map<string, number>();

const WANTED = '"export default async function app(scope, receive, send)"';

/** Line and column, of the file itself or of one that it imports. */
const PLACE = /^\s+at (?:.*\/)?([^/?:]+)(?:\?[^:]*)?(:\d+:\d+)$/;

// An app may ask a service for its policy while it loads; pgtls serves nobody until it has.
const LOAD_TIMEOUT_MS = 30_000;
