/** The PostgreSQL behind the demo's pgtls. */
import type { DevelopmentPki } from "./certificates.ts";
import { type PostgresServer, startPostgres } from "./postgres.ts";

/** The TLS of a session through pgtls, as PostgreSQL sees it: a row of the view `backend_tls`. */
export interface BackendTls {
  readonly version: string;
  readonly cipher: string;
  readonly client_dn: string;
}

/**
 * Starts a server that takes TLS connections with pgtls's own certificate, from no one else, and asks for no password.
 *
 * @throws {Error} As `startPostgres` does.
 */
export async function startDemoBackend(pki: DevelopmentPki): Promise<PostgresServer> {
  const postgres = await startPostgres({
    tls: {
      cert: await Deno.readTextFile(pki.server.cert),
      key: await Deno.readTextFile(pki.server.key),
      clientCa: await Deno.readTextFile(pki.ca.cert),
    },
    hba: ["hostssl all all 127.0.0.1/32 cert map=proxy"],
    ident: [`proxy ${PROXY} ${USER}`],
    initSql: [`CREATE ROLE ${USER} LOGIN`, `CREATE DATABASE ${DATABASE} OWNER ${USER}`],
  });
  try {
    await postgres.query(`CREATE VIEW backend_tls AS ${BACKEND_TLS}`, DATABASE);
    await postgres.query(`GRANT SELECT ON backend_tls TO ${USER}`, DATABASE);
    return postgres;
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}

/** The role, and the name in the client's certificate. */
export const USER = "demo";

/** The database it owns. */
export const DATABASE = "demo";

/** The name in pgtls's own client certificate. */
export const PROXY = "pgtls";

const BACKEND_TLS =
  "SELECT version, cipher, bits, client_dn, issuer_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
