/** What every figure stands on: two PostgreSQL servers, certificates, and a folder for files. */

import { join } from "node:path";
import { issueCertificate, type IssuedCertificate } from "../src/demo/issuer.ts";
import { type PostgresServer, startPostgres } from "../src/demo/postgres.ts";
import { findPrograms, type Programs, runPgbench } from "./programs.ts";

/** How long and how much to measure. */
export interface Effort {
  readonly querySeconds: number;
  readonly copyRows: number;
  readonly connections: number;
  /** For a first look at memory; fewer than {@linkcode IDLE_SESSIONS}, up to which it goes then. */
  readonly idleConnections: number;
}

/** Options of {@linkcode openStage}. */
export interface StageOptions {
  readonly effort: Effort;
  /** The main.ts of other trees, which run as contestants of their own next to this one's. */
  readonly also: readonly string[];
}

/** The servers and files of one benchmark run. */
export interface Stage extends StageOptions {
  readonly programs: Programs;
  readonly dir: string;
  /** PostgreSQL without TLS, with pgbench's tables. */
  readonly plain: PostgresServer;
  /** PostgreSQL that takes TLS only, with pgbench's tables. */
  readonly tls: PostgresServer;
  readonly files: StageFiles;
}

/** Absolute paths of PEM files. */
export interface StageFiles {
  readonly serverCert: string;
  readonly serverKey: string;
  /** The CA of the TLS backend alone. */
  readonly oneCa: string;
  /** The CA of the TLS backend behind `BUNDLE_SIZE - 1` others, the way cloud databases publish theirs. */
  readonly manyCas: string;
  /** What a client says that logs in and out at once: StartupMessage, Terminate. */
  readonly hello: string;
  /** A script for pgbench: ten selects in one pipeline. */
  readonly pipeline: string;
  /** Another one, that sends nothing: with -C, logins alone. */
  readonly nothing: string;
}

/**
 * Starts the servers and makes the certificates; `stack` ends and removes them all.
 *
 * @throws {Error} If pgbench, psql or PostgreSQL is missing. Says which Debian package has it.
 */
export async function openStage(stack: AsyncDisposableStack, options: StageOptions): Promise<Stage> {
  const programs = findPrograms();
  const dir = await Deno.makeTempDir({ prefix: "pgtls-bench-" });
  stack.defer(() => Deno.remove(dir, { recursive: true }));
  const ca = certificateAuthority("bench CA");
  const server = issue("localhost", ca);
  const files = await writeFiles(dir, ca, server);
  const settings = { max_connections: String(IDLE_SESSIONS + SPARE_SESSIONS) };
  const plain = stack.use(await startPostgres({ hba: ["host all all 127.0.0.1/32 trust"], settings }));
  const tls = stack.use(
    await startPostgres({
      hba: ["hostssl all all 127.0.0.1/32 trust"],
      tls: { cert: server.certPem, key: server.keyPem },
      settings,
    }),
  );
  for (const { port } of [plain, tls]) {
    const sslmode = port === tls.port ? "require" : "disable";
    await runPgbench(programs.pgbench, { port, sslmode }, ["-i", "-q", "-s", "1"]);
  }
  await plain.query("CREATE TABLE sink (line text)");
  return { ...options, programs, dir, plain, tls, files };
}

async function writeFiles(
  dir: string,
  ca: IssuedCertificate,
  server: IssuedCertificate,
): Promise<StageFiles> {
  const others = Array.from({ length: BUNDLE_SIZE - 1 }, (_, i) => certificateAuthority(`other CA ${i + 1}`));
  const selects = Array.from(
    { length: 10 },
    (_, i) => `SELECT abalance FROM pgbench_accounts WHERE aid = ${i * 9_999 + 1};`,
  );
  const write = async (name: string, text: string) => {
    const path = join(dir, name);
    await Deno.writeTextFile(path, text, { mode: 0o600 });
    return path;
  };
  return {
    serverCert: await write("server.pem", server.certPem),
    serverKey: await write("server.key", server.keyPem),
    oneCa: await write("one_ca.pem", ca.certPem),
    manyCas: await write("many_cas.pem", [...others, ca].map(({ certPem }) => certPem).join("")),
    hello: await write("hello", STARTUP_MESSAGE + TERMINATE),
    pipeline: await write("pipeline.sql", ["\\startpipeline", ...selects, "\\endpipeline", ""].join("\n")),
    nothing: await write("nothing.sql", "\\set nothing 0\n"),
  };
}

function certificateAuthority(name: string): IssuedCertificate {
  return issueCertificate({ name, purpose: "ca", ...validity() });
}

function issue(name: string, ca: IssuedCertificate): IssuedCertificate {
  return issueCertificate({ name, purpose: "server", sans: [name, "127.0.0.1"], ...validity() }, ca);
}

/** From yesterday to a month from now. */
export function validity(): { readonly notBefore: Date; readonly notAfter: Date } {
  return { notBefore: new Date(Date.now() - DAY_MS), notAfter: new Date(Date.now() + 30 * DAY_MS) };
}

/** How many sessions are open at once, at the most: PostgreSQL has room for them from the start. */
export const IDLE_SESSIONS = 2_000;

/** How many CAs the big bundle has; the public bundles of cloud databases hold more than a hundred. */
export const BUNDLE_SIZE = 140;

// pgbench's clients, our own queries and those that are still closing.
const SPARE_SESSIONS = 60;

// https://www.postgresql.org/docs/current/protocol-message-formats.html: length, protocol 3.0, parameters.
const STARTUP_MESSAGE = "\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0";
const TERMINATE = "X\0\0\0\x04";

const DAY_MS = 24 * 60 * 60 * 1000;
