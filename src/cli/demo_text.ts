/** What the demo writes: its configuration file, and what is running. */
import { join } from "node:path";
import { type BackendTls, DATABASE, PROXY, USER } from "../demo/backend.ts";
import type { DevelopmentPki } from "../demo/certificates.ts";
import type { PostgresServer } from "../demo/postgres.ts";
import { psqlCommand } from "../demo/psql_command.ts";

/** A demo that runs. */
export interface Demo {
  readonly dir: string;
  readonly configFile: string;
  readonly address: { readonly host: string; readonly port: number };
  readonly postgres: PostgresServer;
  readonly version: string;
  /** What clients trust and present. */
  readonly pki: DevelopmentPki;
  /** The TLS of a session through pgtls, as PostgreSQL sees it. */
  readonly backendTls: BackendTls;
}

/** The text of the demo's `pgtls.toml`. */
export function configText(port: number, backendPort: number): string {
  return `# Written by "pgtls demo". Paths are relative to this file.

log_format = "text"
workers = 1

[[proxy]]
name = "demo"

[proxy.listener]
bind_address = "127.0.0.1:${port}"
server_cert = "clients/server.pem"
server_key = "clients/server.key"
mtls = true
client_ca = "clients/ca.pem"

[proxy.backend]
address = "127.0.0.1:${backendPort}"
server_name = "localhost"
root_ca = "backend/ca.pem"
client_cert = "backend/${PROXY}.pem"
client_key = "backend/${PROXY}.key"
`;
}

/** What is running, in lines; the last one is a psql command to paste. */
export function describeDemo(
  { dir, configFile, address, postgres, version, pki, backendTls }: Demo,
): string[] {
  const [client] = pki.clients;
  return [
    "",
    `pgtls          ${address.host}:${address.port}, TLS, client certificate required`,
    `PostgreSQL     ${postgres.host}:${postgres.port}, version ${version}, lets in nobody but pgtls`,
    `  it sees      ${backendTls.version}, ${backendTls.cipher}, client certificate ${backendTls.client_dn}`,
    `configuration  ${configFile}`,
    `certificates   ${join(dir, "clients")} (between clients and pgtls)`,
    `               ${join(dir, "backend")} (between pgtls and PostgreSQL)`,
    "",
    'Everything is ready; Ctrl-C stops and removes it. Paste this into another shell, with -c "TABLE backend_tls"',
    "behind it to see what PostgreSQL knows of the connection:",
    "",
    psqlCommand({
      host: "localhost",
      // libpq verifies the host and dials this: "localhost" need not resolve, nor to this address first.
      hostaddr: address.host,
      port: address.port,
      dbname: DATABASE,
      user: USER,
      sslmode: "verify-full",
      sslrootcert: pki.ca.cert,
      sslcert: client?.cert ?? "",
      sslkey: client?.key ?? "",
    }),
  ];
}
