/**
 * From the plain facts of a connection to what an app is called with. Free of sockets.
 *
 * Everything is frozen, and PEM and names are made when somebody reads them: most connections meet no reader.
 */

import { clientCertName, type TlsFacts, type TlsRecord, toPem } from "../tls/record.ts";
import type { Endpoint, Extensions, PostgresqlDisconnect, PostgresqlScope, Versions } from "./types.ts";

/** What is known of a session that asks to be let in. */
export interface ConnectionFacts {
  readonly route: string;
  /** ID of the connection. */
  readonly connection: string;
  readonly client: Endpoint;
  readonly server: Endpoint;
  /** Parameters of the StartupMessage; `user` is one of them. */
  readonly parameters: ReadonlyMap<string, string>;
  /** The TLS of the client's connection; `null` in clear. */
  readonly tls: TlsFacts | null;
}

/** Builds the scope of a session. Frozen throughout. */
export function buildPostgresqlScope(facts: ConnectionFacts): PostgresqlScope {
  const { parameters, tls } = facts;
  const user = parameters.get("user") ?? "";
  return Object.freeze({
    type: "postgresql",
    pagi: VERSIONS,
    route: facts.route,
    connection: facts.connection,
    client: Object.freeze([...facts.client] as const),
    server: Object.freeze([...facts.server] as const),
    server_name: tls?.serverName ?? null,
    user,
    // PostgreSQL's own default, for an empty name too.
    database: parameters.get("database") || user,
    parameters: recordOf(parameters),
    extensions: buildExtensions(tls),
  });
}

/** The extensions of a connection: `tls` if and only if it is one. For scopes of every type. */
export function buildExtensions(tls: TlsFacts | null): Extensions {
  return tls === null ? NO_EXTENSIONS : Object.freeze({ tls: lazyTlsRecord(tls) });
}

/** Builds the last event of a session. `backendTls` is the other leg's: a connection of its own, with its own record. */
export function buildDisconnect(
  end: Omit<PostgresqlDisconnect, "type" | "backend_tls"> & { readonly backendTls: TlsFacts | null },
): PostgresqlDisconnect {
  const { backendTls, ...fields } = end;
  const backend_tls = backendTls && lazyTlsRecord(backendTls);
  return Object.freeze({ type: "postgresql.disconnect", ...fields, backend_tls });
}

/**
 * The record with exactly its six keys, own and enumerable. Each value that takes work is made at its first reading
 * and kept.
 */
export function lazyTlsRecord(facts: TlsFacts): TlsRecord {
  const serverCert = once(() => facts.serverCert && toPem(facts.serverCert));
  const clientChain = once(() => Object.freeze(facts.clientChain.map(toPem)));
  const clientName = once(() => clientCertName(facts));
  return Object.freeze({
    get server_cert() {
      return serverCert();
    },
    get client_cert_chain() {
      return clientChain();
    },
    get client_cert_name() {
      return clientName();
    },
    client_cert_error: facts.clientCertError,
    tls_version: facts.tlsVersion,
    cipher_suite: facts.cipherSuite,
  });
}

function once<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | undefined;
  return () => (made ??= { value: make() }).value;
}

/** Without a prototype: a client names its parameters as it likes, `constructor` and `__proto__` included. */
function recordOf(parameters: ReadonlyMap<string, string>): Readonly<Record<string, string>> {
  const record: Record<string, string> = Object.create(null);
  for (const [name, value] of parameters) record[name] = value;
  return Object.freeze(record);
}

const VERSIONS: Versions = Object.freeze({ version: "0.1", spec_version: "0.1" });

const NO_EXTENSIONS: Extensions = Object.freeze({});
