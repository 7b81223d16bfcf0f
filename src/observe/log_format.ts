/** Log records to lines. Text that came from a peer is cut and escaped: a log line is one line, on any terminal. */

import type { LogRecord } from "@logtape/logtape";
import { escapeInvisible } from "../printable.ts";

/** One JSON object: `time`, `level`, `event`, then the event's own fields. */
export function formatJson(record: LogRecord): string {
  return renderJson({
    time: new Date(record.timestamp).toISOString(),
    level: levelName(record),
    event: record.rawMessage,
    ...record.properties,
  });
}

/** JSON on one line, in which text is cut and what is not seen is escaped. */
export function renderJson(value: unknown): string {
  return escapeInvisible(JSON.stringify(value, cutLongText));
}

/** Text of a peer's, cut where nobody needs more of it. */
export function cutText(text: string): string {
  return text.length <= MAX_TEXT_LENGTH
    ? text
    : `${text.slice(0, MAX_TEXT_LENGTH)}… (${text.length} characters)`;
}

/** `time level event key=value …`; nested records become `key.inner=value`, values that are not plain are quoted. */
export function formatText(record: LogRecord): string {
  const time = new Date(record.timestamp).toISOString().slice(11, 23);
  const fields = flatten("", record.properties).map(([key, value]) => `${key}=${formatValue(value)}`);
  const event = String(record.rawMessage);
  return escapeInvisible([time, levelName(record).padEnd(5), event, ...fields].join(" "));
}

function levelName(record: LogRecord): string {
  return record.level === "warning" ? "warn" : record.level;
}

function flatten(prefix: string, value: Readonly<Record<string, unknown>>): [string, unknown][] {
  return Object.entries(value).flatMap(([name, inner]): [string, unknown][] => {
    if (inner === null || inner === undefined) return [];
    if (typeof inner !== "object" || Array.isArray(inner)) return [[prefix + name, inner]];
    return flatten(`${prefix}${name}.`, inner as Record<string, unknown>);
  });
}

function formatValue(value: unknown): string {
  const text = typeof value === "string" && PLAIN.test(value) ? value : JSON.stringify(value, cutLongText);
  return text ?? "";
}

function cutLongText(_key: string, value: unknown): unknown {
  return typeof value === "string" ? cutText(value) : value;
}

const PLAIN = /^[\w.:/@+-]+$/;

// A user name may be 10,000 bytes long; nobody needs more of it than this to find the culprit.
const MAX_TEXT_LENGTH = 512;
