/** TLS facts and certificates as lines a person reads. */

import { X509Certificate } from "node:crypto";
import type { TlsFacts } from "../tls/record.ts";

/** What the connection agreed on, then each certificate of `chain`. */
export function describeFacts(facts: TlsFacts): string[] {
  const server = facts.serverCert ? describeCertificate(facts.serverCert) : "no certificate";
  const sent = facts.clientChain.length === 0 ? "none" : describeCertificate(facts.clientChain[0]!);
  return [
    `${TLS_VERSIONS[facts.tlsVersion ?? 0] ?? "unknown TLS version"}, cipher suite ${
      hex(facts.cipherSuite)
    }, ` +
    `ALPN ${facts.alpn ?? "none"}`,
    `server certificate: ${server}`,
    `client certificate sent: ${sent}`,
  ];
}

/** Subject, SANs, issuer, end and fingerprint of one DER certificate, on one line. */
export function describeCertificate(der: Uint8Array): string {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(der);
  } catch {
    return `unreadable (${der.length} bytes)`;
  }
  const subject = oneLine(certificate.subject) || "(empty subject)";
  const names = certificate.subjectAltName ? `, ${certificate.subjectAltName}` : "";
  return `${subject}${names}, issued by ${
    oneLine(certificate.issuer)
  }, ends ${certificate.validToDate.toISOString()}, ` +
    `SHA-256 ${certificate.fingerprint256}`;
}

function oneLine(name: string): string {
  return name.replaceAll("\n", ", ");
}

function hex(code: number | null): string {
  return code === null ? "unknown" : `0x${code.toString(16).padStart(4, "0")}`;
}

const TLS_VERSIONS: Readonly<Record<number, string>> = { 0x0303: "TLS 1.2", 0x0304: "TLS 1.3" };
