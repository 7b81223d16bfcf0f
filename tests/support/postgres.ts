/** PostgreSQL servers for tests, by what they demand of the connection. Importing this takes 1 s, each server 0.15 s. */
import { type PostgresOptions, type PostgresServer, startPostgres } from "../../src/demo/postgres.ts";
import { acquireWorkspace } from "../../src/demo/workspace.ts";
import { type Ca, type Leaf, makeCa } from "./pki.ts";

export type { PostgresServer };

/** A test server whose TLS certificate names `localhost` and `127.0.0.1`. */
export interface TlsPostgres extends PostgresServer {
  /** What the server's certificate is issued by. */
  readonly ca: Ca;
  readonly certificate: Leaf;
}

/** A test server that demands client certificates. */
export interface MutualTlsPostgres extends TlsPostgres {
  /** What client certificates have to be issued by. */
  readonly clientCa: Ca;
  /** A client certificate that lets in as any role: for `CN=pgtls`, mapped by pg_ident.conf. */
  readonly client: Leaf;
}

/** What the variants have in common with {@linkcode startPostgres}; `hba` lines go before the variant's own. */
export interface TestPostgresOptions extends Partial<Omit<PostgresOptions, "tls">> {
  /** How roles log in where no client certificate does it. @default "trust" */
  readonly method?: "trust" | "scram-sha-256" | "md5" | "password";
  /** The server certificate; issued by a CA of its own unless given. */
  readonly certificate?: Leaf;
  readonly ca?: Ca;
}

/**
 * A server that knows no TLS.
 *
 * Every variant has the database `demo` and the roles `alice` (password `secret`) and `bob` (password `hidden`).
 */
export async function startPlainPostgres(options: TestPostgresOptions = {}): Promise<PostgresServer> {
  return await startPostgres(common(options, [`host all all 127.0.0.1/32 ${options.method ?? "trust"}`]));
}

/** A server that takes TLS connections only. */
export async function startTlsPostgres(options: TestPostgresOptions = {}): Promise<TlsPostgres> {
  const { ca, certificate } = serverCertificate(options);
  const server = await startPostgres({
    ...common(options, [`hostssl all all 127.0.0.1/32 ${options.method ?? "trust"}`]),
    tls: { cert: certificate.chainPem, key: certificate.keyPem },
  });
  return Object.assign(server, { ca, certificate });
}

/** A server that takes connections with or without TLS; `pg_stat_ssl` tells which it was. */
export async function startEitherPostgres(options: TestPostgresOptions = {}): Promise<TlsPostgres> {
  return await startTlsPostgres({
    ...options,
    hba: [...(options.hba ?? []), `hostnossl all all 127.0.0.1/32 ${options.method ?? "trust"}`],
  });
}

/** A server that lets in nobody without a client certificate of {@linkcode MutualTlsPostgres.clientCa}. */
export async function startMutualTlsPostgres(options: TestPostgresOptions = {}): Promise<MutualTlsPostgres> {
  const { ca, certificate } = serverCertificate(options);
  const clientCa = makeCa({ name: "backend client CA" });
  const server = await startPostgres({
    ...common(options, ["hostssl all all 127.0.0.1/32 cert map=proxy"]),
    ident: ["proxy pgtls all"],
    tls: { cert: certificate.chainPem, key: certificate.keyPem, clientCa: clientCa.certPem },
  });
  const client = clientCa.issue({ name: "pgtls", purpose: "client" });
  return Object.assign(server, { ca, certificate, clientCa, client });
}

function common(options: TestPostgresOptions, hba: readonly string[]): PostgresOptions {
  const { method: _method, certificate: _certificate, ca: _ca, ...rest } = options;
  return {
    ...rest,
    hba: [...(options.hba ?? []), ...hba],
    // Roles made below get the verifier their login method needs: md5 cannot use a SCRAM one.
    settings: { ...(options.method === "md5" ? { password_encryption: "md5" } : {}), ...options.settings },
    initSql: [...INIT_SQL, ...(options.initSql ?? [])],
  };
}

function serverCertificate(options: TestPostgresOptions): { ca: Ca; certificate: Leaf } {
  const ca = options.ca ?? makeCa({ name: "backend CA" });
  const certificate = options.certificate ??
    ca.issue({ name: "localhost", purpose: "server", sans: ["localhost", "127.0.0.1"] });
  return { ca, certificate };
}

// Never released, so initdb runs once a test file. Its janitor process removes the folder when the test run ends.
await acquireWorkspace();

const INIT_SQL = [
  "CREATE ROLE alice LOGIN PASSWORD 'secret'",
  "CREATE ROLE bob LOGIN PASSWORD 'hidden'",
  "CREATE DATABASE demo",
  "GRANT ALL ON DATABASE demo TO alice, bob",
];
