/** From a TLS socket to plain facts. What is made of them stands in record.ts. */

import type { TLSSocket } from "node:tls";
import { cipherSuiteCode, tlsVersionCode } from "./cipher_suites.ts";
import type { TlsFacts } from "./record.ts";

/**
 * The DER certificates the peer presented, leaf first; on a resumed session those of the session it resumes.
 *
 * Read from the handle because `getPeerCertificate(true)` reports a leaf its own parser cannot read as "no
 * certificate", and re-parses every certificate into strings; held by peer_test.ts.
 *
 * @throws {TypeError} If the runtime no longer offers the call: no chain must never look like no certificate.
 */
export function presentedChain(socket: TLSSocket): readonly Uint8Array[] {
  const handle = (socket as unknown as { _handle?: ChainHandle })._handle;
  if (typeof handle?.getPeerCertificateChain !== "function") {
    throw new TypeError("Cannot read the peer's certificate chain: the TLS handle is gone");
  }
  return handle.getPeerCertificateChain()?.certificates ?? [];
}

/** What is known about a TLS connection that only its owner knows: the certificates and how they were judged. */
export type Certificates = Pick<TlsFacts, "serverCert" | "clientChain" | "clientCertError">;

/** Takes the facts of an established TLS connection. */
export function tlsFacts(socket: TLSSocket, certificates: Certificates): TlsFacts {
  const servername = (socket as TLSSocket & { servername?: string | false | null }).servername;
  return {
    ...certificates,
    tlsVersion: tlsVersionCode(socket.getProtocol() ?? ""),
    cipherSuite: cipherSuiteCode(socket.getCipher()?.standardName ?? ""),
    alpn: socket.alpnProtocol || null,
    serverName: servername || null,
    resumed: socket.isSessionReused(),
  };
}

interface ChainHandle {
  getPeerCertificateChain?(): { readonly certificates: readonly Uint8Array[] } | null;
}
