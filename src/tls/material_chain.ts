/**
 * Certificates of our own, to show to a client or to a backend: in order, in date and fit for it.
 *
 * This looks for the operator's mistakes before a peer finds them. It decides nothing about peers: that is `verify.ts`.
 */

import { X509Certificate } from "node:crypto";
import { describeBlocks, type PemFile, renderPem, type Report } from "./material_file.ts";
import { type OwnFields, readOwnFields } from "./own_fields.ts";
import { sameBytes } from "./path/der.ts";
import type { PemBlock } from "./path/pem.ts";

/** A chain of certificates, leaf first. */
export interface OwnChain {
  /** The certificates alone, PEM. */
  readonly pem: string;
  /** The certificates, DER, leaf first. */
  readonly der: readonly Uint8Array[];
  readonly leaf: X509Certificate;
}

/** What the leaf is for. */
export type ChainPurpose = "server" | "client";

/** Options of {@linkcode readChain}. */
export interface ChainOptions {
  readonly purpose: ChainPurpose;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly report: Report;
}

/**
 * Takes the chain out of a file, and reports everything that is wrong with it.
 *
 * @returns `null` if there is no chain to go on with; what is wrong with a readable one is reported all the same.
 */
export function readChain(file: PemFile, options: ChainOptions): OwnChain | null {
  const { report } = options;
  const blocks = file.blocks.filter(({ label }) => label === "CERTIFICATE");
  if (blocks.length === 0) {
    report.problem(
      `Cannot use file "${file.path}": it holds ${describeBlocks(file.blocks)}, expected a CERTIFICATE`,
    );
    return null;
  }
  const certificates = parseAll(blocks, file, report);
  const leaf = certificates?.[0];
  if (certificates === null || leaf === undefined) return null;
  checkOrder(certificates, file, report);
  for (const certificate of certificates) checkDates(certificate, file, options);
  checkPurpose(leaf, file, options);
  return { pem: blocks.map(renderPem).join(""), der: blocks.map(({ bytes }) => bytes), leaf: leaf.x509 };
}

interface OwnCertificate {
  /** For messages: `certificate 2 ("CN=…")`. */
  readonly label: string;
  readonly x509: X509Certificate;
  /** Names among them: the text that node:crypto makes of them leaves parts out. */
  readonly fields: OwnFields;
  /** Whether it is a root sent along, which peers ignore, since they go by their own. */
  readonly isRoot: boolean;
}

function parseAll(blocks: readonly PemBlock[], file: PemFile, report: Report): OwnCertificate[] | null {
  const certificates: OwnCertificate[] = [];
  for (const [index, { bytes }] of blocks.entries()) {
    try {
      certificates.push(parseOne(bytes, index));
    } catch {
      report.problem(`Cannot use file "${file.path}": certificate ${index + 1} is malformed, expected X.509`);
      return null;
    }
  }
  return certificates;
}

function parseOne(bytes: Uint8Array, index: number): OwnCertificate {
  const x509 = new X509Certificate(bytes);
  const fields = readOwnFields(bytes);
  const label = `certificate ${index + 1} (${showName(x509.subject)})`;
  return { label, x509, fields, isRoot: index > 0 && sameBytes(fields.subject, fields.issuer) };
}

/** RFC 8446 section 4.4.2 relaxed this order; TLS 1.2 (RFC 5246 section 7.4.2) and many clients did not. */
function checkOrder(certificates: readonly OwnCertificate[], file: PemFile, report: Report): void {
  for (const [index, issuer] of certificates.slice(1).entries()) {
    const subject = certificates[index];
    if (subject === undefined) return;
    const isIssued = sameBytes(subject.fields.issuer, issuer.fields.subject);
    const isSigned = isIssued && isSignedBy(subject.x509, issuer.x509);
    if (isSigned === "unknown") {
      report.warning(
        `Could not check the chain in file "${file.path}": ${issuer.label} has a key that cannot be used for it`,
      );
    } else if (!isSigned) {
      const how = isIssued ? "signed by another key than that of" : "not issued by";
      report.problem(
        `Cannot use file "${file.path}": its chain is out of order, ${subject.label} is ${how} ${issuer.label}, ` +
          "expected the leaf first and each certificate signed by the next",
      );
      return;
    }
  }
}

/** Deno throws for keys it cannot verify with, P-521 among them. */
function isSignedBy(subject: X509Certificate, issuer: X509Certificate): boolean | "unknown" {
  try {
    return subject.verify(issuer.publicKey);
  } catch {
    return "unknown";
  }
}

function checkDates({ label, fields, isRoot }: OwnCertificate, file: PemFile, options: ChainOptions): void {
  const { now, report } = options;
  const { notBefore, notAfter } = fields;
  if (now < notBefore) {
    report.problem(
      `Cannot use file "${file.path}": ${label} is not valid before ${showTime(notBefore)}, now is ${
        showTime(now)
      }`,
    );
  } else if (now > notAfter) {
    const say = isRoot ? report.warning : report.problem;
    say(`Cannot use file "${file.path}": ${label} expired on ${showTime(notAfter)}, now is ${showTime(now)}`);
  } else if (notAfter - now < SOON_MS) {
    report.warning(
      `File "${file.path}" has to be renewed: ${label} expires on ${showTime(notAfter)}`,
      "expiring",
    );
  }
}

function checkPurpose({ label, fields }: OwnCertificate, file: PemFile, options: ChainOptions): void {
  const { purpose, report } = options;
  if (fields.version !== 3) {
    report.warning(
      `File "${file.path}" will not do for every peer: ${label} is X.509 version ${fields.version}, ` +
        "which rustls refuses, expected version 3",
    );
  }
  const { extendedKeyUsage } = fields;
  if (extendedKeyUsage === null) return;
  const usage = purpose === "server" ? "serverAuth" : "clientAuth";
  if (!extendedKeyUsage.includes(PURPOSES[purpose])) {
    report.problem(
      `Cannot use file "${file.path}": ${label} is not for a ${purpose}, expected ${usage} in its extended key usage`,
    );
  }
}

/** One line of a name, shortened; the characters that could forge another line taken out. */
function showName(subject: string): string {
  return `"${subject.trim().replace(/\n/g, ", ").replace(/[\p{Cc}"]/gu, "?").slice(0, 100)}"`;
}

function showTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d+Z$/, "Z");
}

const PURPOSES: Readonly<Record<ChainPurpose, string>> = {
  server: "1.3.6.1.5.5.7.3.1",
  client: "1.3.6.1.5.5.7.3.2",
};

/** Certificates of 47 days and less are renewed at two thirds of their life; later than this something is wrong. */
const SOON_MS = 14 * 24 * 60 * 60 * 1000;
