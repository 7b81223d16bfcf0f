/** A certificate in words, for people and for the admin server. Nothing is decided by it. */

import { createHash, X509Certificate } from "node:crypto";
import { PeerRejectedError } from "../errors.ts";
import { formatDistinguishedName } from "./distinguished_name.ts";
import { type Certificate, parseCertificate } from "./path/certificate.ts";
import type { GeneralName } from "./path/names.ts";

/** What a certificate says of itself. */
export interface CertificateText {
  /** RFC 4514. */
  readonly subject: string;
  readonly issuer: string;
  /** `DNS:db.example.com`, `IP:10.0.0.1`, `email:…`, `URI:…`, `dirName:…`; others by their kind alone. */
  readonly sans: readonly string[];
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Of the DER, hexadecimal. */
  readonly sha256: string;
}

/** Describes a certificate, DER. One that is not in strict DER is described as far as the runtime can read it. */
export function describeCertificate(der: Uint8Array): CertificateText {
  const sha256 = certificateFingerprint(der);
  try {
    return { ...textOf(parseCertificate(der, "certificate", { asAnchor: true })), sha256 };
  } catch (error) {
    if (!(error instanceof PeerRejectedError)) throw error;
    return { ...looseTextOf(der), sha256 };
  }
}

/** SHA-256 of the DER, hexadecimal. */
export function certificateFingerprint(der: Uint8Array): string {
  return createHash("sha256").update(der).digest("hex");
}

type Text = Omit<CertificateText, "sha256">;

function textOf({ subject, issuer, notBefore, notAfter, extensions }: Certificate): Text {
  return {
    subject: cut(formatDistinguishedName(subject.der)),
    issuer: cut(formatDistinguishedName(issuer.der)),
    sans: (extensions.subjectAltNames ?? []).slice(0, MAX_SANS).map((san) => cut(describeSan(san))),
    notBefore,
    notAfter,
  };
}

function describeSan(san: GeneralName): string {
  switch (san.kind) {
    case "dns":
      return `DNS:${san.value}`;
    case "email":
      return `email:${san.value}`;
    case "uri":
      return `URI:${san.value}`;
    case "ip":
      return `IP:${formatIp(san.value)}`;
    case "directory":
      return `dirName:${formatDistinguishedName(san.value.der)}`;
    default:
      return san.kind;
  }
}

function formatIp(octets: Uint8Array): string {
  if (octets.length === 4) return octets.join(".");
  return new URL(`http://[${octets.toHex().replace(/(.{4})(?=.)/g, "$1:")}]`).hostname.slice(1, -1);
}

/** By node:crypto, whose names are not RFC 4514 and may lack parts: better than nothing at all. */
function looseTextOf(der: Uint8Array): Text {
  try {
    const { subject, issuer, validFromDate, validToDate } = new X509Certificate(der);
    const name = (text: string | undefined) => cut((text ?? "").trim().split("\n").reverse().join(","));
    return {
      subject: name(subject),
      issuer: name(issuer),
      sans: [],
      notBefore: validFromDate.getTime(),
      notAfter: validToDate.getTime(),
    };
  } catch {
    return { subject: "", issuer: "", sans: [], notBefore: NaN, notAfter: NaN };
  }
}

function cut(text: string): string {
  return text.length <= MAX_LENGTH ? text : `${text.slice(0, MAX_LENGTH)}…`;
}

// A certificate may hold 64 KB of either; nobody reads that.
const MAX_SANS = 100;
const MAX_LENGTH = 512;
