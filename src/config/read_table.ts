/** Reads one table of the file key by key, so that one mistake does not hide the next. */

import type { z } from "zod";
import type { Problem } from "../errors.ts";
import { describeFound, showKey } from "./found.ts";
import { suggest } from "./suggest.ts";

/** Where a table stands in the file. */
export interface TablePlace {
  /** As `proxy[0].listener`; `""` for the top level. */
  readonly path: string;
  /** The route it belongs to. */
  readonly route?: string;
}

/** What could be read of a table. */
export interface TableReading<Keys extends z.ZodRawShape> {
  /** Values of the keys that are right, defaults filled in; a wrong or absent key is missing. */
  readonly values: { readonly [Key in keyof Keys]?: z.output<Keys[Key]> };
  /** Whether the file gives the key, right or wrong. */
  has(key: keyof Keys & string): boolean;
  /** Reports a problem at one of the table's keys. */
  report(key: keyof Keys & string, message: string): void;
}

/** A parsed TOML table: keys are whatever the operator wrote, `constructor` included. */
export type RawTable = Readonly<Record<string, unknown>>;

/** Whether a value is a table: not a list, a date or a plain value. */
export function isTable(value: unknown): value is RawTable {
  if (typeof value !== "object" || value === null) return false;
  return !Array.isArray(value) && !(value instanceof Date);
}

/**
 * Reads the keys of one table, and reports every key that is wrong or unknown.
 *
 * @param problems Gets the problems, in the order of the file.
 * @param subtables Keys that are tables of their own and are read elsewhere.
 */
export function readTable<Keys extends z.ZodRawShape>(
  keys: Keys,
  raw: RawTable,
  context: {
    readonly place: TablePlace;
    readonly problems: Problem[];
    readonly subtables?: readonly string[];
  },
): TableReading<Keys> {
  const { place, problems, subtables = [] } = context;
  const report = (key: string, message: string) => problems.push(problemAt(place, key, message));
  const values: Record<string, unknown> = {};
  for (const key of orderedKeys(keys, raw)) {
    const type = Object.hasOwn(keys, key) ? keys[key] as z.ZodType : undefined;
    if (type !== undefined) readKey(type, key);
    else if (!subtables.includes(key)) report(key, unknownKey(key, [...Object.keys(keys), ...subtables]));
  }
  // The values were each parsed by the type of their own key.
  return { values: values as TableReading<Keys>["values"], has: (key) => Object.hasOwn(raw, key), report };

  function readKey(type: z.ZodType, key: string): void {
    const found = Object.hasOwn(raw, key) ? raw[key] : undefined;
    const result = type.safeParse(found);
    if (result.success) values[key] = result.data;
    else report(key, wrongValue(found, result.error.issues[0]?.message ?? "another value"));
  }
}

/** A problem at a key of a table. */
export function problemAt(place: TablePlace, key: string, message: string): Problem {
  const path = place.path === "" ? showKey(key) : `${place.path}.${showKey(key)}`;
  return place.route === undefined ? { path, message } : { path, route: place.route, message };
}

/** The keys the file has, in its order, then those it leaves out. */
function orderedKeys(keys: z.ZodRawShape, raw: RawTable): string[] {
  const given = Object.keys(raw);
  return [...given, ...Object.keys(keys).filter((key) => !Object.hasOwn(raw, key))];
}

function wrongValue(found: unknown, expected: string): string {
  if (found === undefined) return `Cannot go without this key: it is missing, expected ${expected}`;
  return `Cannot use ${describeFound(found)}: expected ${expected}`;
}

function unknownKey(key: string, known: readonly string[]): string {
  const near = suggest(key, known);
  return near === null
    ? `Cannot use this key: there is none of that name here, expected one of ${known.join(", ")}`
    : `Cannot use this key: there is none of that name here, did you mean "${near}"?`;
}
