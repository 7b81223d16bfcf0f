/** Writes events as log lines: JSON objects, or text for a terminal. No line ever holds a secret. */

import { configureSync, getLogger, type LogRecord, resetSync } from "@logtape/logtape";
import type { LogLevel } from "../config/types.ts";
import { summarizeTls, type TlsFacts } from "../tls/record.ts";
import type { Observer, PgtlsEvent } from "./events.ts";
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
    const { event: name, ...fields } = event;
    // A function is called by the logger only if the level is wanted: names and fingerprints cost more than most lines.
    logger[LOGTAPE_METHODS[levelOf(event)]](name, () => summarize(fields));
  };
}

/** Resolves when every line so far has been written, or nobody has read them for a while. */
export async function flushLog(): Promise<void> {
  await current?.flush(FLUSH_MS);
}

function startWriter(format: (record: LogRecord) => string): (line: string) => void {
  const writer = new LogWriter(Deno.stderr, (count) => format(droppedRecord(count)));
  current = writer;
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

/**
 * How loud an event is: error = an operator must act; warn = degraded; info = the server's life, one line for each
 * connection, every denial; debug = stages and routine noise such as health checks that connect and close.
 */
export function levelOf(event: PgtlsEvent): LogLevel {
  switch (event.event) {
    case "server.failed":
      return "error";
    case "config.warning":
    case "connection.refused":
      return "warn";
    case "backend.failed":
      return event.reason === "backend_untrusted" ? "error" : "warn";
    case "connection.closed":
      if (event.reason === "internal_error") return "error";
      return event.reason === "client_closed" && event.bytes_from_client === 0 ? "debug" : "info";
    case "config.loaded":
    case "server.started":
    case "server.draining":
    case "server.stopped":
    case "listener.bound":
    case "peer.rejected":
      return "info";
    default:
      return "debug";
  }
}

/** A line carries fingerprints where the facts have certificates (docs/decisions/0002). */
function summarize(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      TLS_FIELDS.has(name) && value !== null ? summarizeTls(value as TlsFacts) : value,
    ]),
  );
}

const TLS_FIELDS: ReadonlySet<string> = new Set(["tls", "client_tls", "backend_tls"]);

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

// At exit: long enough for any reader that is alive.
const FLUSH_MS = 1_000;
