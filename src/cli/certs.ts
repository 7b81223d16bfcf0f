/** `pgtls certs DIR`: development certificates, and how to use them. */
import { type DevelopmentPki, makeDevelopmentPki } from "../demo/certificates.ts";
import { psqlCommand } from "../demo/psql_command.ts";
import { EXIT, reportError } from "./report.ts";

/** The command line of `pgtls certs`. */
export interface CertsOptions {
  readonly dir: string;
  /** DNS names and IP addresses of the server. @default localhost, 127.0.0.1 and ::1 */
  readonly host?: readonly string[];
  /** Common names of the client certificates. @default one, for `client` */
  readonly client?: readonly string[];
}

/** Makes the certificates and prints what each file is for. Gives the exit code; a name that cannot be used is usage. */
export async function runCerts(options: CertsOptions): Promise<number> {
  const { dir, host: hosts = DEFAULT_HOSTS, client: clients = DEFAULT_CLIENTS } = options;
  try {
    const pki = await makeDevelopmentPki({ dir, hosts, clients });
    const lines = [...fileLines(pki, hosts), "", ...listenerLines(pki), "", ...psqlLines(pki, hosts)];
    console.log(lines.join("\n"));
    return EXIT.ok;
  } catch (error) {
    const exitCode = reportError(error);
    return error instanceof RangeError ? EXIT.usage : exitCode;
  }
}

function fileLines(pki: DevelopmentPki, hosts: readonly string[]): string[] {
  const until = pki.notAfter.toISOString().slice(0, "2000-01-01".length);
  const rows = [
    ["ca.pem", "the development CA: the certificate that clients and pgtls trust"],
    ["ca.key", "its private key: issues more certificates, belongs on no server"],
    ["server.pem", `server certificate for ${hosts.join(", ")}; until ${until}`],
    ["server.key", "its private key"],
    ...pki.clients.flatMap(({ name }) => [
      [`${name}.pem`, `client certificate for "${name}"; until ${until}`],
      [`${name}.key`, "its private key"],
    ]),
  ];
  const width = Math.max(...rows.map(([file = ""]) => file.length));
  return [
    `Certificates for development are in ${pki.dir}`,
    ...rows.map(([file = "", purpose]) => `  ${file.padEnd(width)}  ${purpose}`),
  ];
}

function listenerLines(pki: DevelopmentPki): string[] {
  return [
    "In the configuration of pgtls:",
    "",
    "[proxy.listener]",
    `server_cert = ${JSON.stringify(pki.server.cert)}`,
    `server_key = ${JSON.stringify(pki.server.key)}`,
    "mtls = true",
    `client_ca = ${JSON.stringify(pki.ca.cert)}`,
  ];
}

function psqlLines(pki: DevelopmentPki, hosts: readonly string[]): string[] {
  const client = pki.clients[0];
  if (client === undefined) return [];
  const command = psqlCommand({
    host: hosts.find((host) => !host.startsWith("*")) ?? (hosts[0] ?? "").replace("*", "db"),
    port: 6432,
    dbname: "postgres",
    user: client.name,
    sslmode: "verify-full",
    sslrootcert: pki.ca.cert,
    sslcert: client.cert,
    sslkey: client.key,
  });
  return ["A client of it, with its own port, database and user filled in:", "", command];
}

const DEFAULT_HOSTS = ["localhost", "127.0.0.1", "::1"];
const DEFAULT_CLIENTS = ["client"];
