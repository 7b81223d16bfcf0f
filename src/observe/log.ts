/** Writes events as log lines: JSON objects, or text for a terminal. No line ever holds a secret. */

import { configureSync, getLogger, type LogRecord, resetSync } from "@logtape/logtape";
import type { LogLevel } from "../config/types.ts";
import type { Observer } from "./events.ts";
import { fieldsOf } from "./fields.ts";
import { levelOf } from "./levels.ts";
import { formatJson, formatText } from "./log_format.ts";
import { LogWriter } from "./log_writer.ts";

/** Options of {@linkcode startLog}. */
export interface LogOptions {
  readonly level: LogLevel;
  /** `auto`: text when standard error is a terminal, else JSON. */
  readonly format: "auto" | "text" | "json";
  /** Takes one line without its newline; default standard error. */
  readonly write?: (line: string) => void;
}

/** Starts the log and returns the observer that feeds it. Calling it again replaces the log. */
export function startLog(options: LogOptions): Observer {
  const isText = options.format === "text" || (options.format === "auto" && Deno.stderr.isTerminal());
  const format = isText ? formatText : formatJson;
  const write = options.write ?? startWriter(format);
  resetSync();
  configureSync({
    sinks: { lines: (record: LogRecord) => write(format(record)) },
    loggers: [
      { category: ["pgtls"], lowestLevel: LOGTAPE_LEVELS[options.level], sinks: ["lines"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["lines"] },
    ],
  });
  const logger = getLogger(["pgtls"]);
  return (event) => {
    // A function is called by the logger only if the level is wanted: names and fingerprints cost more than most lines.
    logger[LOGTAPE_METHODS[levelOf(event)]](event.event, () => fieldsOf(event));
  };
}

/** Resolves when every line so far has been written, or nobody has read them for a while. */
export async function flushLog(): Promise<void> {
  await current?.flush(FLUSH_MS);
}

/** Log lines that were dropped since the start because nobody read them. */
export function droppedLogLines(): number {
  return current?.dropped ?? 0;
}

function startWriter(format: (record: LogRecord) => string): (line: string) => void {
  // One writer for good: two would write into one another's lines.
  formatOfWriter = format;
  const writer = current ??= new LogWriter(Deno.stderr, (count) => formatOfWriter(droppedRecord(count)));
  return (line) => writer.write(line);
}

function droppedRecord(count: number): LogRecord {
  const event = "log.dropped";
  const timestamp = Date.now();
  return {
    category: ["pgtls"],
    level: "warning",
    message: [event],
    rawMessage: event,
    timestamp,
    properties: { count },
  };
}

const LOGTAPE_LEVELS = {
  trace: "trace",
  debug: "debug",
  info: "info",
  warn: "warning",
  error: "error",
} as const;
const LOGTAPE_METHODS = {
  trace: "trace",
  debug: "debug",
  info: "info",
  warn: "warn",
  error: "error",
} as const;

let current: LogWriter | null = null;
let formatOfWriter: (record: LogRecord) => string = formatJson;

// At exit: long enough for any reader that is alive.
const FLUSH_MS = 1_000;
