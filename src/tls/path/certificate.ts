/** One X.509 certificate, read strictly (RFC 5280 section 4.1). Says nothing about whether it is to be trusted. */

import { PeerRejectedError } from "../../errors.ts";
import { type PublicKey, readPublicKey, toHex } from "./algorithms.ts";
import {
  BIT_STRING,
  constructedTag,
  DerError,
  DerReader,
  type Element,
  INTEGER,
  readWhole,
  sameBytes,
  SEQUENCE,
} from "./der.ts";
import { describeName } from "./describe.ts";
import { checkInteger, decodeOctets, decodeSmallInteger, decodeTime } from "./der_values.ts";
import { type Extensions, parseExtensions, readRawExtensions } from "./extensions.ts";
import { type DistinguishedName, readDistinguishedName } from "./names.ts";
import { rejection } from "./rejection.ts";

/** A parsed certificate. Equal certificates have equal `der`. */
export interface Certificate {
  readonly der: Uint8Array;
  readonly version: 1 | 3;
  /** Hexadecimal content of the INTEGER. */
  readonly serial: string;
  readonly issuer: DistinguishedName;
  readonly subject: DistinguishedName;
  /** Milliseconds since 1970, both inclusive. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly key: PublicKey;
  readonly extensions: Extensions;
  readonly signed: SignedBytes;
}

/** What a signature is over, by which algorithm; the same shape in certificates and CRLs. */
export interface SignedBytes {
  readonly message: Uint8Array;
  /** Content of the AlgorithmIdentifier. */
  readonly algorithm: Uint8Array;
  readonly signature: Uint8Array;
}

/** Splits `SEQUENCE { toBeSigned, signatureAlgorithm, signature }`. @throws {DerError} If it is not that. */
export function readSigned(der: Uint8Array, what: string): { body: Element; signed: SignedBytes } {
  const reader = new DerReader(readWhole(der, SEQUENCE, what).content);
  const body = reader.read(SEQUENCE, what);
  const algorithm = reader.read(SEQUENCE, what).content;
  const signature = decodeOctets(reader.read(BIT_STRING, what).content, what);
  reader.finish(what);
  return { body, signed: { message: body.der, algorithm, signature } };
}

/**
 * Reads a certificate.
 *
 * @param label What to call it while its subject is unknown: `certificate 1 of the chain`.
 * @param options.asAnchor For an entry of a CA bundle, which counts by name and key: version 1 and a few old slips pass.
 * @throws {PeerRejectedError} `malformed_certificate` or `unsupported_version`.
 */
export function parseCertificate(
  der: Uint8Array,
  label: string,
  options: { readonly asAnchor?: boolean } = {},
): Certificate {
  if (der.length > MAX_OCTETS) {
    throw rejection(
      "malformed_certificate",
      label,
      `it has ${der.length} octets, expected at most ${MAX_OCTETS}`,
    );
  }
  try {
    return readCertificate(der, { label, asAnchor: options.asAnchor ?? false });
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    const state = `${error.message}, expected strict DER as RFC 5280 defines it`;
    throw new PeerRejectedError("malformed_certificate", `Cannot accept ${label}: ${state}`, {
      cause: error,
    });
  }
}

/** Whether it names itself as its issuer. */
export function isSelfIssued(certificate: Certificate): boolean {
  return sameBytes(certificate.issuer.der, certificate.subject.der);
}

function readCertificate(der: Uint8Array, options: { label: string; asAnchor: boolean }): Certificate {
  const { body, signed } = readSigned(der, "the certificate");
  const reader = new DerReader(body.content);
  const version = readVersion(reader);
  if (version === 2 || (version === 1 && !options.asAnchor)) {
    throw wrongVersion(version, reader, options.label);
  }
  const form = options.asAnchor ? "lenient" : "strict";
  const serial = toHex(checkInteger(reader.read(INTEGER, "the serial number").content, "the serial number"));
  const algorithm = reader.read(SEQUENCE, "the signature algorithm").content;
  if (!sameBytes(algorithm, signed.algorithm)) {
    throw new DerError("the signature algorithm differs from the signed one");
  }
  const issuer = readDistinguishedName(reader, "the issuer");
  const validity = reader.readSequence("the validity");
  const notBefore = decodeTime(validity.readAny("notBefore"), "notBefore", form);
  const notAfter = decodeTime(validity.readAny("notAfter"), "notAfter", form);
  validity.finish("the validity");
  if (notBefore > notAfter) throw new DerError("notBefore is after notAfter");
  const subject = readDistinguishedName(reader, "the subject");
  const key = readPublicKey(reader.read(SEQUENCE, "the public key").der);
  // issuerUniqueID and subjectUniqueID are refused, as in rustls-webpki: nobody issues them.
  const raw = reader.isDone || version === 1
    ? []
    : readRawExtensions(reader, constructedTag(3), "the extensions");
  reader.finish("the certificate");
  const extensions = parseExtensions(raw, form);
  return { der, version, serial, issuer, subject, notBefore, notAfter, key, extensions, signed };
}

function readVersion(reader: DerReader): 1 | 2 | 3 {
  const tagged = reader.readOptional(constructedTag(0), "the version");
  if (tagged === null) return 1;
  const number = decodeSmallInteger(readWhole(tagged.content, INTEGER, "the version").content, "the version");
  if (number === 1 || number === 2) return (number + 1) as 2 | 3;
  throw new DerError(number === 0 ? "the version spells out its default" : `the version is ${number + 1}`);
}

/** The usual cause deserves the usual remedy: this is what a server made with plain `openssl x509 -req` gets. */
function wrongVersion(version: 1 | 2, reader: DerReader, label: string): PeerRejectedError {
  const state =
    `it is X.509 version ${version}, expected version 3; reissue it with extensions, for example ` +
    '"openssl x509 -req ... -extfile ext.cnf" with the line "subjectAltName=DNS:db.example.com" in ext.cnf';
  return rejection("unsupported_version", peekSubject(reader) ?? label, state);
}

function peekSubject(reader: DerReader): string | null {
  try {
    reader.read(INTEGER, "the serial number");
    reader.read(SEQUENCE, "the signature algorithm");
    reader.read(SEQUENCE, "the issuer");
    reader.read(SEQUENCE, "the validity");
    return `certificate ${describeName(readDistinguishedName(reader, "the subject"))}`;
  } catch {
    return null;
  }
}

/** rustls-webpki reads no value longer than this. */
const MAX_OCTETS = 65_535;
