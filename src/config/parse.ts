/**
 * From whatever a TOML file holds to a {@linkcode Config}, or to every reason why not.
 *
 * Pure: reads no file and resolves no name. Each table is read key by key (`read_table.ts`), then the rules between keys
 * (`rules.ts`) and between routes (`route_conflicts.ts`) run on what could be read.
 */

import { dirname, resolve } from "node:path";
import { ConfigError, type Problem } from "../errors.ts";
import type { TcpAddress } from "./address.ts";
import { authFiles, backendFiles, buildConfig, defaultRouteName, listenerFiles } from "./build.ts";
import { describeFound } from "./found.ts";
import { readAllow } from "./read_allow.ts";
import {
  isTable,
  problemAt,
  type RawTable,
  readTable,
  type TablePlace,
  type TableReading,
} from "./read_table.ts";
import { findConflicts, type RouteSketch } from "./route_conflicts.ts";
import { checkAdmin, checkAuth, checkBackend, checkListener, checkRoute } from "./rules.ts";
import {
  adminKeys,
  authKeys,
  backendKeys,
  configSchema,
  listenerKeys,
  routeKeys,
  topLevelKeys,
} from "./schema.ts";
import type { Address, Config, TableFiles } from "./types.ts";

/** What a file holds: a configuration, or what is wrong with it and which files it names all the same. */
export type Reading =
  | { readonly config: Config }
  | { readonly config: null; readonly problems: readonly Problem[]; readonly files: readonly TableFiles[] };

/**
 * Parses a configuration.
 *
 * @param raw What the TOML file holds.
 * @param options.file Absolute path of the file: relative paths start at its folder, and messages name it.
 * @returns The configuration, complete and deeply frozen.
 * @throws {ConfigError} With every problem found.
 */
export function parseConfig(raw: unknown, options: { readonly file: string }): Config {
  const reading = readConfig(raw, options);
  if (reading.config === null) throw new ConfigError(options.file, reading.problems);
  return reading.config;
}

/** As {@linkcode parseConfig}, for a caller who wants to look at the files of a wrong configuration, too. */
export function readConfig(raw: unknown, { file }: { readonly file: string }): Reading {
  const findings: Findings = { problems: [], files: [], folder: dirname(file) };
  if (isTable(raw)) readFile(raw, findings);
  else findings.problems.push({ path: "", message: `Cannot use ${describeFound(raw)}: expected a table` });
  if (findings.problems.length > 0) return { config: null, ...findings };
  return { config: buildConfig(configSchema.parse(raw), file) };
}

/** What reading has found so far. */
interface Findings {
  readonly problems: Problem[];
  readonly files: TableFiles[];
  readonly folder: string;
}

function readFile(raw: RawTable, findings: Findings): void {
  const { problems } = findings;
  readTable(topLevelKeys, raw, { place: { path: "" }, problems, subtables: ["admin", "proxy"] });
  const admin = readAdmin(raw, findings);
  const routes = readRoutes(raw, findings);
  problems.push(...findConflicts(routes, admin));
}

function readAdmin(raw: RawTable, findings: Findings): TcpAddress | undefined {
  if (!Object.hasOwn(raw, "admin")) return undefined;
  const table = readSubtable(raw, "admin", { ...findings, place: { path: "" }, header: "[admin]" });
  if (table === null) return undefined;
  const place = { path: "admin" };
  const admin = readTable(adminKeys, table, { place, problems: findings.problems });
  checkAdmin(admin);
  findings.files.push({ place, listener: listenerFiles(present(admin.values), findings.folder) });
  return admin.values.bind_address;
}

/** `readTable` leaves out what is wrong; types with an explicit `undefined` are for zod. */
function present<Values extends object>(
  values: Values,
): { [Key in keyof Values]: Exclude<Values[Key], undefined> } {
  return values as { [Key in keyof Values]: Exclude<Values[Key], undefined> };
}

function readRoutes(raw: RawTable, findings: Findings): RouteSketch[] {
  const { problems } = findings;
  const place = { path: "" };
  const found = Object.hasOwn(raw, "proxy") ? raw["proxy"] : undefined;
  if (found === undefined || (Array.isArray(found) && found.length === 0)) {
    problems.push(problemAt(place, "proxy", "Cannot start without a route: expected at least one [[proxy]]"));
    return [];
  }
  if (!Array.isArray(found)) {
    const what = isTable(found) ? "[proxy]" : describeFound(found);
    problems.push(problemAt(place, "proxy", `Cannot use ${what}: expected [[proxy]], in double brackets`));
  }
  // A lone [proxy] is read as well, to show what else is wrong with it.
  const tables: readonly unknown[] = Array.isArray(found) ? found : isTable(found) ? [found] : [];
  return tables.flatMap((table, index) => readRoute(table, index, findings));
}

function readRoute(raw: unknown, index: number, findings: Findings): RouteSketch[] {
  const { problems } = findings;
  const path = `proxy[${index}]`;
  const name = defaultRouteName(index);
  if (!isTable(raw)) {
    problems.push({
      path,
      route: name,
      message: `Cannot use ${describeFound(raw)}: expected a table, [[proxy]]`,
    });
    return [];
  }
  const place = { path, route: nameOf(raw) ?? name };
  const subtables = ["listener", "backend", "auth", "allow"];
  const route = readTable(routeKeys, raw, { place, problems, subtables });
  checkRoute(route);
  const { app } = route.values;
  if (app !== undefined) findings.files.push({ place, app: resolve(findings.folder, app) });
  const context = { ...findings, place };
  const listener = readListener(raw, context);
  const backend = readBackend(raw, context);
  readAuth(raw, listener, context);
  readAllow(raw, { place, problems, listener: listener?.values });
  return [{ place, listener: listener?.values, backend }];
}

/** The name comes first: the problems of the table itself already carry it. */
function nameOf(raw: RawTable): string | undefined {
  return routeKeys.name.safeParse(Object.hasOwn(raw, "name") ? raw["name"] : undefined).data;
}

interface ReadingContext extends Findings {
  readonly place: TablePlace;
}

function readListener(raw: RawTable, context: ReadingContext): TableReading<typeof listenerKeys> | null {
  const table = readSubtable(raw, "listener", { ...context, header: "[proxy.listener]" });
  if (table === null) return null;
  const below = subcontext(context, "listener");
  const listener = readTable(listenerKeys, table, below);
  checkListener(listener);
  context.files.push({
    place: below.place,
    listener: listenerFiles(present(listener.values), context.folder),
  });
  return listener;
}

function readBackend(raw: RawTable, context: ReadingContext): Address | undefined {
  const table = readSubtable(raw, "backend", { ...context, header: "[proxy.backend]" });
  if (table === null) return undefined;
  const below = subcontext(context, "backend");
  const backend = readTable(backendKeys, table, below);
  checkBackend(backend);
  context.files.push({ place: below.place, backend: backendFiles(present(backend.values), context.folder) });
  return backend.values.address;
}

/** A route without the table lets logins pass through. */
function readAuth(
  raw: RawTable,
  listener: TableReading<typeof listenerKeys> | null,
  context: ReadingContext,
): void {
  if (!Object.hasOwn(raw, "auth")) return;
  const table = readSubtable(raw, "auth", { ...context, header: "[proxy.auth]" });
  if (table === null) return;
  const below = subcontext(context, "auth");
  const auth = readTable(authKeys, table, below);
  checkAuth(auth, listener);
  context.files.push({ place: below.place, auth: authFiles(present(auth.values), context.folder) });
}

function readSubtable(
  raw: RawTable,
  key: string,
  context: Pick<ReadingContext, "place" | "problems"> & { readonly header: string },
): RawTable | null {
  const { place, problems, header } = context;
  const found = Object.hasOwn(raw, key) ? raw[key] : undefined;
  if (isTable(found)) return found;
  const message = found === undefined
    ? `Cannot go without this table: it is missing, expected ${header}`
    : `Cannot use ${describeFound(found)}: expected a table, ${header}`;
  problems.push(problemAt(place, key, message));
  return null;
}

function subcontext(context: ReadingContext, key: string): ReadingContext {
  return { ...context, place: { ...context.place, path: `${context.place.path}.${key}` } };
}
