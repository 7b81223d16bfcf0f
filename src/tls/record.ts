/**
 * The TLS record (the PAGI TLS extension) and its short form for log lines, made from the plain facts of a connection.
 *
 * Facts hold DER and are cheap to take on every connection; PEM and names are made only when somebody reads them.
 */

import { createHash } from "node:crypto";
import { formatDistinguishedName } from "./distinguished_name.ts";
import { DerError } from "./path/der.ts";
import { subjectOf } from "./path/subject.ts";

/** What one TLS connection agreed on, whichever side of it pgtls is. */
export interface TlsFacts {
  /** DER of the certificate the TLS server sent; `null` when it is not known. */
  readonly serverCert: Uint8Array | null;
  /** DER of the certificates the TLS client sent, leaf first; `[]` when none. */
  readonly clientChain: readonly Uint8Array[];
  /** Why the client's certificate was not accepted although the connection stayed open. */
  readonly clientCertError: string | null;
  /** 0x0303 for TLS 1.2, 0x0304 for TLS 1.3. */
  readonly tlsVersion: number | null;
  /** IANA code, for example 0x1302. */
  readonly cipherSuite: number | null;
  readonly alpn: string | null;
  /** The SNI value sent by the TLS client. */
  readonly serverName: string | null;
  readonly resumed: boolean;
}

/** The record itself: exactly the six keys of the PAGI TLS extension. */
export interface TlsRecord {
  readonly server_cert: string | null;
  readonly client_cert_chain: readonly string[];
  readonly client_cert_name: string | null;
  readonly client_cert_error: string | null;
  readonly tls_version: number | null;
  readonly cipher_suite: number | null;
}

/** The record as a log line carries it: SHA-256 fingerprints (hex) in place of PEM, plus ALPN and SNI. */
export interface TlsSummary {
  readonly tls_version: number | null;
  readonly cipher_suite: number | null;
  readonly server_cert_sha256: string | null;
  readonly client_cert_sha256: string | null;
  readonly client_cert_name: string | null;
  readonly client_cert_error: string | null;
  readonly alpn: string | null;
  readonly server_name: string | null;
  readonly resumed: boolean;
}

/** The TLS record of a connection. PEM and RFC 4514 name are made here, on each call. */
export function tlsRecord(facts: TlsFacts): TlsRecord {
  return {
    server_cert: facts.serverCert && toPem(facts.serverCert),
    client_cert_chain: facts.clientChain.map(toPem),
    client_cert_name: clientCertName(facts),
    client_cert_error: facts.clientCertError,
    tls_version: facts.tlsVersion,
    cipher_suite: facts.cipherSuite,
  };
}

/** The TLS record as a log line carries it. */
export function summarizeTls(facts: TlsFacts): TlsSummary {
  const [leaf] = facts.clientChain;
  return {
    tls_version: facts.tlsVersion,
    cipher_suite: facts.cipherSuite,
    server_cert_sha256: facts.serverCert && sha256(facts.serverCert),
    client_cert_sha256: leaf === undefined ? null : sha256(leaf),
    client_cert_name: clientCertName(facts),
    client_cert_error: facts.clientCertError,
    alpn: facts.alpn,
    server_name: facts.serverName,
    resumed: facts.resumed,
  };
}

/** PEM (RFC 7468) of one certificate, 64-column lines, ending in a newline. */
export function toPem(der: Uint8Array): string {
  const base64 = der.toBase64().replace(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
}

/** RFC 4514 of the subject of the client's certificate; `null` without one, or if it cannot be read strictly. */
export function clientCertName({ clientChain: [leaf] }: TlsFacts): string | null {
  return leaf === undefined ? null : once(names, leaf, readName);
}

function readName(leaf: Uint8Array): string | null {
  const subject = subjectOf(leaf);
  try {
    return subject && formatDistinguishedName(subject);
  } catch (error) {
    // A name that is not one, in a certificate nobody has accepted.
    if (error instanceof DerError) return null;
    throw error;
  }
}

function sha256(der: Uint8Array): string {
  return once(fingerprints, der, (bytes) => createHash("sha256").update(bytes).digest("hex"));
}

/** Several events and records of a connection are about the same certificate, which is the same object in all of them. */
function once<Value>(
  known: WeakMap<Uint8Array, Value>,
  der: Uint8Array,
  make: (der: Uint8Array) => Value,
): Value {
  const value = known.has(der) ? known.get(der)! : make(der);
  known.set(der, value);
  return value;
}

const names = new WeakMap<Uint8Array, string | null>();
const fingerprints = new WeakMap<Uint8Array, string>();
