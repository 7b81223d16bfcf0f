/** Facts and scopes for the tests of this folder, and an app at work on one. */
import { buildDisconnect, buildPostgresqlScope, type ConnectionFacts } from "../../src/scope/build.ts";
import type { Decision } from "../../src/scope/decision.ts";
import { AppRun } from "../../src/scope/run_app.ts";
import type { App, PostgresqlDisconnect, PostgresqlScope } from "../../src/scope/types.ts";
import type { StageError } from "../../src/errors.ts";
import type { TlsFacts } from "../../src/tls/record.ts";

/** TLS 1.3 without a client certificate. */
export const TLS: TlsFacts = {
  serverCert: null,
  clientChain: [],
  clientCertError: null,
  tlsVersion: 0x0304,
  cipherSuite: 0x1302,
  alpn: "postgresql",
  serverName: "db.example.com",
  resumed: false,
};

/** A session of alice's; over TLS unless `tls` says otherwise. */
export function factsOf(changes: Partial<ConnectionFacts> = {}): ConnectionFacts {
  return {
    route: "orders",
    connection: "c-1a2b3c4d",
    client: ["203.0.113.9", 51514],
    server: ["10.0.0.5", 6432],
    parameters: new Map([["user", "alice"], ["database", "orders"], ["application_name", "psql"]]),
    tls: TLS,
    ...changes,
  };
}

/** The scope of {@linkcode factsOf}. */
export function scopeOf(changes: Partial<ConnectionFacts> = {}): PostgresqlScope {
  return buildPostgresqlScope(factsOf(changes));
}

/** What became of an app that was run. */
export interface Outcome {
  /** The decision, or why there is none. */
  readonly decision: Decision | string;
  /** What was logged, and in it what revoked the session, as `revoked: …`. */
  readonly reports: readonly string[];
}

/** An app at work. */
export interface TestRun {
  readonly run: AppRun;
  readonly reports: string[];
}

/** Starts an app; `graceMs` is how long it may go on after the end. */
export function start(app: unknown, options: { scope?: PostgresqlScope; graceMs?: number } = {}): TestRun {
  const reports: string[] = [];
  const run = new AppRun(app as App, options.scope ?? scopeOf(), {
    failed: (detail) => reports.push(detail),
    revoked: (error: StageError) => reports.push(`revoked: ${error.reason}: ${error.message}`),
    graceMs: options.graceMs ?? 60_000,
  });
  return { run, reports };
}

/** Runs an app to its decision, ends the connection and lets the app run out. */
export async function outcomeOf(app: unknown, options: { scope?: PostgresqlScope } = {}): Promise<Outcome> {
  const { run, reports } = start(app, options);
  const decision = await run.decided(new AbortController().signal).catch((error) =>
    `${error.reason}: ${error.message}`
  );
  await turn();
  run.disconnect(END);
  await turn();
  return { decision, reports };
}

/** Lets everything that waits for nothing but its turn have it. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** An accept without changes, as it is decided on. */
export const ACCEPTED: Decision = { kind: "accepted", backend: null, user: null, parameters: new Map() };

/** The end of a session. */
export const END: PostgresqlDisconnect = buildDisconnect({
  reason: "client_closed",
  bytes_from_client: 10,
  bytes_from_backend: 20,
  duration_ms: 1.5,
  backendTls: null,
});
