/** The extensions of a certificate (RFC 5280 section 4.2), each parsed to its end or the certificate is refused. */

import {
  BIT_STRING,
  constructedTag,
  DerError,
  DerReader,
  INTEGER,
  OBJECT_IDENTIFIER,
  OCTET_STRING,
  primitiveTag,
  readWhole,
  SEQUENCE,
} from "./der.ts";
import {
  checkInteger,
  decodeNamedBits,
  decodeOid,
  decodeSmallInteger,
  type Form,
  readDefaultFalse,
} from "./der_values.ts";
import { toHex } from "./algorithms.ts";
import { parseDistributionPoints } from "./distribution_points.ts";
import { type NameConstraints, parseNameConstraints } from "./name_constraints.ts";
import { type GeneralName, readGeneralNames } from "./names.ts";

/** What the extensions say; `null` where one is absent. */
export interface Extensions {
  readonly basicConstraints: { readonly isCa: boolean; readonly pathLength: number | null } | null;
  /** Bit numbers of RFC 5280 section 4.2.1.3. */
  readonly keyUsage: ReadonlySet<number> | null;
  readonly extendedKeyUsage: readonly string[] | null;
  readonly subjectAltNames: readonly GeneralName[] | null;
  readonly nameConstraints: NameConstraints | null;
  /** Hexadecimal; a hint for the order of attempts, never a reason. */
  readonly authorityKeyId: string | null;
  readonly subjectKeyId: string | null;
  /** Critical ones that nobody here can process: reason enough to refuse (RFC 5280 section 4.2). */
  readonly unknownCritical: readonly string[];
}

/** What one extension is, before it is known which. */
export interface RawExtension {
  readonly oid: string;
  readonly isCritical: boolean;
  readonly value: Uint8Array;
}

/** Reads `[tag] EXPLICIT Extensions` if it is next. Duplicates are refused. */
export function readRawExtensions(reader: DerReader, tag: number | null, what: string): RawExtension[] {
  const outer = tag === null ? reader : new DerReader(reader.read(tag, what).content);
  const list = outer.readSequence(what);
  if (tag !== null) outer.finish(what);
  const extensions = new Map<string, RawExtension>();
  while (!list.isDone) {
    const entry = list.readSequence(what);
    const oid = decodeOid(entry.read(OBJECT_IDENTIFIER, what).content, what);
    const isCritical = readDefaultFalse(entry, `criticality of extension ${oid.slice(0, 40)}`);
    const value = entry.read(OCTET_STRING, what).content;
    entry.finish(what);
    if (extensions.has(oid)) throw new DerError(`extension ${oid.slice(0, 40)} is there twice`);
    extensions.set(oid, { oid, isCritical, value });
  }
  return [...extensions.values()];
}

/** Gives the known extensions their meaning. @throws {DerError} If a known one is malformed. */
export function parseExtensions(raw: readonly RawExtension[], form: Form = "strict"): Extensions {
  const find = new Map(raw.map((extension) => [extension.oid, extension.value]));
  for (const oid of [CRL_DISTRIBUTION_POINTS, FRESHEST_CRL]) {
    parseIfThere(find.get(oid), parseDistributionPoints);
  }
  return {
    basicConstraints: parseIfThere(find.get(BASIC_CONSTRAINTS), parseBasicConstraints),
    keyUsage: parseIfThere(find.get(KEY_USAGE), (value) => parseKeyUsage(value, form)),
    extendedKeyUsage: parseIfThere(find.get(EXTENDED_KEY_USAGE), parseExtendedKeyUsage),
    subjectAltNames: parseIfThere(find.get(SUBJECT_ALT_NAME), parseSubjectAltName),
    nameConstraints: parseIfThere(find.get(NAME_CONSTRAINTS), parseNameConstraints),
    authorityKeyId: parseIfThere(find.get(AUTHORITY_KEY_ID), parseAuthorityKeyId),
    subjectKeyId: parseIfThere(find.get(SUBJECT_KEY_ID), parseSubjectKeyId),
    unknownCritical: raw.filter(isUnknownCritical).map((extension) => extension.oid),
  };
}

/** Parses an AuthorityKeyIdentifier; the key identifier in hexadecimal, if it has one. */
export function parseAuthorityKeyId(value: Uint8Array): string | null {
  const what = "authorityKeyIdentifier";
  const reader = new DerReader(readWhole(value, SEQUENCE, what).content);
  const keyId = reader.readOptional(primitiveTag(0), what);
  const issuer = reader.readOptional(constructedTag(1), what);
  if (issuer !== null) readGeneralNames(new DerReader(issuer.content), what);
  const serial = reader.readOptional(primitiveTag(2), what);
  if (serial !== null) checkInteger(serial.content, what);
  reader.finish(what);
  return keyId === null ? null : toHex(keyId.content);
}

function isUnknownCritical(extension: RawExtension): boolean {
  return extension.isCritical && !PROCESSED.has(extension.oid);
}

function parseIfThere<T>(value: Uint8Array | undefined, parse: (value: Uint8Array) => T): T | null {
  return value === undefined ? null : parse(value);
}

function parseBasicConstraints(value: Uint8Array): { isCa: boolean; pathLength: number | null } {
  const what = "basicConstraints";
  const reader = new DerReader(readWhole(value, SEQUENCE, what).content);
  const isCa = readDefaultFalse(reader, what);
  const length = reader.readOptional(INTEGER, what);
  reader.finish(what);
  return { isCa, pathLength: length === null ? null : decodeSmallInteger(length.content, what) };
}

function parseKeyUsage(value: Uint8Array, form: Form): ReadonlySet<number> {
  const bits = decodeNamedBits(readWhole(value, BIT_STRING, "keyUsage").content, "keyUsage", form);
  if (bits.size === 0) throw new DerError("keyUsage is empty");
  return bits;
}

function parseExtendedKeyUsage(value: Uint8Array): string[] {
  const what = "extendedKeyUsage";
  const reader = new DerReader(readWhole(value, SEQUENCE, what).content);
  const purposes: string[] = [];
  while (!reader.isDone) purposes.push(decodeOid(reader.read(OBJECT_IDENTIFIER, what).content, what));
  if (purposes.length === 0) throw new DerError(`${what} is empty`);
  return purposes;
}

function parseSubjectAltName(value: Uint8Array): GeneralName[] {
  const what = "subjectAltName";
  return readGeneralNames(new DerReader(readWhole(value, SEQUENCE, what).content), what);
}

function parseSubjectKeyId(value: Uint8Array): string {
  return toHex(readWhole(value, OCTET_STRING, "subjectKeyIdentifier").content);
}

export const BASIC_CONSTRAINTS = "2.5.29.19";
export const KEY_USAGE = "2.5.29.15";
export const EXTENDED_KEY_USAGE = "2.5.29.37";
export const SUBJECT_ALT_NAME = "2.5.29.17";
export const NAME_CONSTRAINTS = "2.5.29.30";
export const AUTHORITY_KEY_ID = "2.5.29.35";
export const CRL_DISTRIBUTION_POINTS = "2.5.29.31";
const SUBJECT_KEY_ID = "2.5.29.14";
const FRESHEST_CRL = "2.5.29.46";

/**
 * The extensions that may be critical, the same as rustls-webpki's: those whose meaning is honoured.
 * cRLDistributionPoints is among them because revocation is decided by the operator's CRL files alone.
 */
const PROCESSED: ReadonlySet<string> = new Set([
  BASIC_CONSTRAINTS,
  KEY_USAGE,
  EXTENDED_KEY_USAGE,
  SUBJECT_ALT_NAME,
  NAME_CONSTRAINTS,
  CRL_DISTRIBUTION_POINTS,
]);
