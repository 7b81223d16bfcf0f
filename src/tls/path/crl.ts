/** Certificate revocation lists (RFC 5280 section 5): complete ones of a CA's own. */

import { toHex } from "./algorithms.ts";
import { readSigned, type SignedBytes } from "./certificate.ts";
import {
  constructedTag,
  DerError,
  DerReader,
  ENUMERATED,
  GENERALIZED_TIME,
  INTEGER,
  readWhole,
  sameBytes,
  SEQUENCE,
  UTC_TIME,
} from "./der.ts";
import { checkInteger, decodeSmallInteger, decodeTime } from "./der_values.ts";
import { AUTHORITY_KEY_ID, parseAuthorityKeyId, type RawExtension, readRawExtensions } from "./extensions.ts";
import { type DistinguishedName, readDistinguishedName } from "./names.ts";

/** A parsed list. Nothing says yet that its issuer signed it. */
export interface RevocationList {
  readonly issuer: DistinguishedName;
  /** Milliseconds since 1970: it may be relied on from, and until before. */
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  /** Serial numbers as in {@linkcode Certificate}. */
  readonly revoked: ReadonlySet<string>;
  /** Why it says nothing about any certificate (partial, indirect, something unknown and critical); `null` if it does. */
  readonly unusable: string | null;
  readonly signed: SignedBytes;
}

/** @throws {DerError} If it is not strict DER, or has no nextUpdate. */
export function parseRevocationList(der: Uint8Array): RevocationList {
  const what = "the CRL";
  const { body, signed } = readSigned(der, what);
  const reader = new DerReader(body.content);
  const version = reader.readOptional(INTEGER, what);
  if (version !== null && decodeSmallInteger(version.content, what) !== 1) {
    throw new DerError(`${what} is not version 2`);
  }
  if (!sameBytes(reader.read(SEQUENCE, what).content, signed.algorithm)) {
    throw new DerError("the signature algorithm differs from the signed one");
  }
  const issuer = readDistinguishedName(reader, "the issuer");
  const thisUpdate = decodeTime(reader.readAny("thisUpdate"), "thisUpdate");
  if (!reader.isNext(UTC_TIME) && !reader.isNext(GENERALIZED_TIME)) {
    throw new DerError(`${what} has no nextUpdate`);
  }
  const nextUpdate = decodeTime(reader.readAny("nextUpdate"), "nextUpdate");
  const entries = reader.isNext(SEQUENCE)
    ? readEntries(reader.readSequence("the revoked certificates"))
    : NO_ENTRIES;
  const extensions = reader.isDone ? [] : readRawExtensions(reader, constructedTag(0), what);
  reader.finish(what);
  if (version === null && (extensions.length > 0 || entries.hasExtensions)) {
    throw new DerError(`${what} has extensions without being version 2`);
  }
  const unusable = unusableExtension(extensions) ?? entries.unusable;
  return { issuer, thisUpdate, nextUpdate, revoked: entries.revoked, unusable, signed };
}

interface Entries {
  readonly revoked: ReadonlySet<string>;
  readonly unusable: string | null;
  readonly hasExtensions: boolean;
}

function readEntries(list: DerReader): Entries {
  const what = "a revoked certificate";
  const revoked = new Set<string>();
  let unusable: string | null = null;
  let hasExtensions = false;
  while (!list.isDone) {
    const entry = list.readSequence(what);
    revoked.add(toHex(checkInteger(entry.read(INTEGER, what).content, what)));
    decodeTime(entry.readAny(what), what);
    if (entry.isDone) continue;
    hasExtensions = true;
    unusable ??= unusableEntry(readRawExtensions(entry, null, what));
    entry.finish(what);
  }
  return { revoked, unusable, hasExtensions };
}

/** RFC 5280 section 5.3: a critical entry extension nobody knows spoils the whole list. */
function unusableEntry(extensions: readonly RawExtension[]): string | null {
  for (const { oid, isCritical, value } of extensions) {
    if (oid === CERTIFICATE_ISSUER) return "it is an indirect CRL";
    if (oid === REASON_CODE) {
      const reason = decodeSmallInteger(readWhole(value, ENUMERATED, "the reason").content, "the reason");
      if (reason === REMOVE_FROM_CRL) return "it removes entries, as only a delta CRL does";
    } else if (oid === INVALIDITY_DATE) {
      readWhole(value, GENERALIZED_TIME, "the invalidity date");
    } else if (isCritical) {
      return `an entry has the unknown critical extension ${oid.slice(0, 40)}`;
    }
  }
  return null;
}

function unusableExtension(extensions: readonly RawExtension[]): string | null {
  for (const { oid, isCritical, value } of extensions) {
    if (oid === DELTA_CRL_INDICATOR) return "it is a delta CRL";
    if (oid === ISSUING_DISTRIBUTION_POINT) {
      return "it covers a part of the certificates only (issuingDistributionPoint)";
    }
    if (oid === AUTHORITY_KEY_ID) parseAuthorityKeyId(value);
    else if (oid === CRL_NUMBER) {
      checkInteger(readWhole(value, INTEGER, "the CRL number").content, "the CRL number");
    }
    if (isCritical) return `it has the unknown critical extension ${oid.slice(0, 40)}`;
  }
  return null;
}

const NO_ENTRIES: Entries = { revoked: new Set(), unusable: null, hasExtensions: false };
const CRL_NUMBER = "2.5.29.20";
const REASON_CODE = "2.5.29.21";
const INVALIDITY_DATE = "2.5.29.24";
const DELTA_CRL_INDICATOR = "2.5.29.27";
const ISSUING_DISTRIBUTION_POINT = "2.5.29.28";
const CERTIFICATE_ISSUER = "2.5.29.29";
const REMOVE_FROM_CRL = 8;
