/** The configuration files of a PostgreSQL data directory. */
import { join } from "node:path";
import type { Account } from "./account.ts";

/** How a server is set up. */
export interface PostgresOptions {
  /** @default a free port of 127.0.0.1 */
  readonly port?: number;
  /** PEM texts; TLS is off when absent. `clientCa` is what client certificates are verified against. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientCa?: string };
  /** The lines of pg_hba.conf, for TCP connections as for others. The superuser's own `local` line comes first. */
  readonly hba: readonly string[];
  /** The lines of pg_ident.conf. @default none */
  readonly ident?: readonly string[];
  /** Added to postgresql.conf; a name given here wins over the defaults. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Statements run as superuser, one by one, before `startPostgres` resolves. */
  readonly initSql?: readonly string[];
}

/** Replaces the configuration that initdb has written to the data directory `dir`, which belongs to `account`. */
export async function writeCluster(
  options: PostgresOptions,
  { dir, account }: { readonly dir: string; readonly account: Account | null },
): Promise<void> {
  const { tls, hba, ident = [], settings = {} } = options;
  const files: Record<string, string> = {
    "postgresql.conf": configurationText({
      ...SETTINGS,
      unix_socket_directories: dir,
      ...tlsSettings(tls),
      ...settings,
    }),
    "pg_hba.conf": ["local all postgres trust", ...hba, ""].join("\n"),
    "pg_ident.conf": [...ident, ""].join("\n"),
    ...(tls === undefined ? {} : { "server.pem": tls.cert, "server.key": tls.key }),
    ...(tls?.clientCa === undefined ? {} : { "client_ca.pem": tls.clientCa }),
  };
  for (const [name, text] of Object.entries(files)) {
    const path = join(dir, name);
    await Deno.writeTextFile(path, text, { mode: 0o600 });
    if (account !== null) await Deno.chown(path, account.uid, account.gid);
  }
}

function tlsSettings(tls: PostgresOptions["tls"]): Record<string, string> {
  if (tls === undefined) return {};
  const clientCa = tls.clientCa === undefined ? {} : { ssl_ca_file: "client_ca.pem" };
  return { ssl: "on", ssl_cert_file: "server.pem", ssl_key_file: "server.key", ...clientCa };
}

function configurationText(settings: Readonly<Record<string, string>>): string {
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'`);
  return [...lines, ""].join("\n");
}

/** Written into a postgresql.conf of our own; whatever is not here has PostgreSQL's default. */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: "127.0.0.1",
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  shared_buffers: "32MB",
  jit: "off",
  log_timezone: "UTC",
  timezone: "UTC",
};
