/** What the checks of our own certificates need to know about one, read from its DER. */

import {
  constructedTag,
  DerReader,
  INTEGER,
  OBJECT_IDENTIFIER,
  primitiveTag,
  readWhole,
  SEQUENCE,
} from "./path/der.ts";
import { decodeOid, decodeSmallInteger, decodeTime } from "./path/der_values.ts";
import { readRawExtensions } from "./path/extensions.ts";

/** A few fields of a certificate (RFC 5280 section 4.1), of whatever version. */
export interface OwnFields {
  /** 1, 2 or 3. */
  readonly version: number;
  /** The names, DER. */
  readonly subject: Uint8Array;
  readonly issuer: Uint8Array;
  /** Milliseconds since 1970, both inclusive. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** The OIDs of its extended key usage, none if that cannot be read; `null` where there is no such extension. */
  readonly extendedKeyUsage: readonly string[] | null;
}

/**
 * Reads the fields, and lets pass what only a peer would mind.
 *
 * @throws {DerError} If the certificate breaks DER, or the layout of a certificate.
 */
export function readOwnFields(der: Uint8Array): OwnFields {
  const body = new DerReader(readWhole(der, SEQUENCE, "the certificate").content).readSequence(
    "the certificate",
  );
  const version = readVersion(body);
  body.read(INTEGER, "the serial number");
  body.read(SEQUENCE, "the signature algorithm");
  const issuer = body.read(SEQUENCE, "the issuer").der;
  const validity = body.readSequence("the validity");
  const notBefore = decodeTime(validity.readAny("notBefore"), "notBefore", "lenient");
  const notAfter = decodeTime(validity.readAny("notAfter"), "notAfter", "lenient");
  const subject = body.read(SEQUENCE, "the subject").der;
  body.read(SEQUENCE, "the public key");
  for (const number of [1, 2]) body.readOptional(primitiveTag(number), "a unique identifier");
  const extensions = body.isDone ? [] : readRawExtensions(body, constructedTag(3), "the extensions");
  body.finish("the certificate");
  const usage = extensions.find(({ oid }) => oid === EXTENDED_KEY_USAGE);
  return {
    version,
    subject,
    issuer,
    notBefore,
    notAfter,
    extendedKeyUsage: usage === undefined ? null : readUsages(usage.value),
  };
}

function readVersion(body: DerReader): number {
  const tagged = body.readOptional(constructedTag(0), "the version");
  if (tagged === null) return 1;
  return decodeSmallInteger(readWhole(tagged.content, INTEGER, "the version").content, "the version") + 1;
}

function readUsages(der: Uint8Array): readonly string[] {
  const usages: string[] = [];
  try {
    const list = new DerReader(readWhole(der, SEQUENCE, "extendedKeyUsage").content);
    while (!list.isDone) {
      const usage = list.read(OBJECT_IDENTIFIER, "a purpose of extendedKeyUsage").content;
      usages.push(decodeOid(usage, "a purpose of extendedKeyUsage"));
    }
    return usages;
  } catch {
    return [];
  }
}

const EXTENDED_KEY_USAGE = "2.5.29.37";
