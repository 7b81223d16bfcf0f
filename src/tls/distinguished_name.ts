/**
 * A certificate's subject as text: RFC 4514, as `openssl x509 -nameopt RFC2253,-esc_msb` prints it.
 *
 * People compare this text with what OpenSSL shows them, so where the RFC leaves a choice OpenSSL's is taken (which is
 * PostgreSQL's too, for `clientname=DN`): the values of one RDN also come last first, `=` is not escaped, control
 * characters are. Two things differ: streetAddress is `STREET` (RFC 4514, section 3), not `street`; and types that are
 * not in the table below are written by OID even where OpenSSL has a name for them.
 *
 * A value that is not text, or whose octets are not valid in its string type, is written as `#hex`. (OpenSSL
 * cannot read most such certificates.)
 */

import {
  BMP_STRING,
  DerReader,
  type Element,
  IA5_STRING,
  OBJECT_IDENTIFIER,
  PRINTABLE_STRING,
  readWhole,
  SEQUENCE,
  SET,
  T61_STRING,
  UNIVERSAL_STRING,
  UTF8_STRING,
  VISIBLE_STRING,
} from "./path/der.ts";
import { decodeOid } from "./path/der_values.ts";

/**
 * Formats the DER of an X.501 Name as RFC 4514: last RDN first, `,` between RDNs, `+` between the values of one.
 *
 * @returns The text, on one line; `""` for an empty name.
 * @throws {DerError} If `nameDer` is not the DER of a Name.
 * @see {@link https://www.rfc-editor.org/rfc/rfc4514#section-2 | RFC 4514, section 2}
 */
export function formatDistinguishedName(nameDer: Uint8Array): string {
  const sets = new DerReader(readWhole(nameDer, SEQUENCE, "name").content);
  const rdns: string[] = [];
  while (!sets.isDone) rdns.push(formatSet(new DerReader(sets.read(SET, "part of a name").content)));
  return rdns.reverse().join(",");
}

function formatSet(attributes: DerReader): string {
  const values: string[] = [];
  while (!attributes.isDone) values.push(formatAttribute(attributes.readSequence("attribute")));
  return values.reverse().join("+");
}

function formatAttribute(reader: DerReader): string {
  const oid = decodeOid(reader.read(OBJECT_IDENTIFIER, "attribute type").content, "attribute type");
  const value = reader.readAny("attribute value");
  reader.finish("attribute");
  const shortName = SHORT_NAMES.get(oid);
  // RFC 4514, section 2.4: a type written in dotted form has its value in hexadecimal, strings too.
  const text = shortName === undefined ? null : decodeString(value);
  return `${shortName ?? oid}=${text === null ? `#${value.der.toHex().toUpperCase()}` : escapeValue(text)}`;
}

/** RFC 4514, section 2.4. The RFC lets control characters stand; here they are escaped, so a name is one line. */
function escapeValue(text: string): string {
  return text.replace(SPECIAL, "\\$&").replace(CONTROL, (control) => {
    return `\\${Uint8Array.of(control.charCodeAt(0)).toHex().toUpperCase()}`;
  });
}

/** The text of a string type, `null` for any other type and for octets that are not valid in theirs. */
function decodeString(value: Element): string | null {
  switch (value.tag) {
    case UTF8_STRING:
      return decodeWith(UTF8, value.content);
    case BMP_STRING:
      return decodeWith(UTF16, value.content);
    case UNIVERSAL_STRING:
      return decodeUtf32(value.content);
    default:
      return ONE_OCTET_TYPES.has(value.tag) ? decodeLatin1(value.content) : null;
  }
}

function decodeWith(decoder: TextDecoder, content: Uint8Array): string | null {
  try {
    return decoder.decode(content);
  } catch {
    return null;
  }
}

function decodeUtf32(content: Uint8Array): string | null {
  if (content.length % 4 !== 0) return null;
  const view = new DataView(content.buffer, content.byteOffset, content.length);
  let text = "";
  for (let offset = 0; offset < content.length; offset += 4) {
    const codePoint = view.getUint32(offset);
    if (codePoint > 0x10ffff || (codePoint >= 0xd800 && codePoint <= 0xdfff)) return null;
    text += String.fromCodePoint(codePoint);
  }
  return text;
}

/** Not `TextDecoder("latin1")`: that is Windows-1252, which has other characters at 0x80..0x9f. */
function decodeLatin1(content: Uint8Array): string {
  return Array.from(content, (octet) => String.fromCharCode(octet)).join("");
}

const SPECIAL = /[,+"\\<>;]|^[ #]| $/g;

// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x1f\x7f]/g;

/** Strict, and a leading U+FEFF stays: two names that differ must not look the same. */
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const UTF16 = new TextDecoder("utf-16be", { fatal: true, ignoreBOM: true });

const NUMERIC_STRING = 0x12;

/** One octet is one character. T61String is read as Latin-1 by everybody; real T.61 is nowhere. */
const ONE_OCTET_TYPES: ReadonlySet<number> = new Set([
  NUMERIC_STRING,
  PRINTABLE_STRING,
  T61_STRING,
  IA5_STRING,
  VISIBLE_STRING,
]);

/** RFC 4514, section 3, then the types of RFC 4519, PKCS #9 and a few others, all under the names OpenSSL prints. */
const SHORT_NAMES: ReadonlyMap<string, string> = new Map([
  ["2.5.4.3", "CN"],
  ["2.5.4.7", "L"],
  ["2.5.4.8", "ST"],
  ["2.5.4.10", "O"],
  ["2.5.4.11", "OU"],
  ["2.5.4.6", "C"],
  ["2.5.4.9", "STREET"],
  ["0.9.2342.19200300.100.1.25", "DC"],
  ["0.9.2342.19200300.100.1.1", "UID"],
  ["0.9.2342.19200300.100.1.3", "mail"],
  ["1.2.840.113549.1.9.1", "emailAddress"],
  ["1.2.840.113549.1.9.2", "unstructuredName"],
  ["1.2.840.113549.1.9.3", "contentType"],
  ["1.2.840.113549.1.9.4", "messageDigest"],
  ["1.2.840.113549.1.9.5", "signingTime"],
  ["1.2.840.113549.1.9.6", "countersignature"],
  ["1.2.840.113549.1.9.7", "challengePassword"],
  ["1.2.840.113549.1.9.8", "unstructuredAddress"],
  ["1.2.840.113549.1.9.9", "extendedCertificateAttributes"],
  ["1.2.840.113549.1.9.20", "friendlyName"],
  ["1.2.840.113549.1.9.21", "localKeyID"],
  ["1.3.6.1.4.1.311.60.2.1.1", "jurisdictionL"],
  ["1.3.6.1.4.1.311.60.2.1.2", "jurisdictionST"],
  ["1.3.6.1.4.1.311.60.2.1.3", "jurisdictionC"],
  ["2.5.4.4", "SN"],
  ["2.5.4.5", "serialNumber"],
  ["2.5.4.12", "title"],
  ["2.5.4.13", "description"],
  ["2.5.4.14", "searchGuide"],
  ["2.5.4.15", "businessCategory"],
  ["2.5.4.16", "postalAddress"],
  ["2.5.4.17", "postalCode"],
  ["2.5.4.18", "postOfficeBox"],
  ["2.5.4.19", "physicalDeliveryOfficeName"],
  ["2.5.4.20", "telephoneNumber"],
  ["2.5.4.21", "telexNumber"],
  ["2.5.4.22", "teletexTerminalIdentifier"],
  ["2.5.4.23", "facsimileTelephoneNumber"],
  ["2.5.4.24", "x121Address"],
  ["2.5.4.25", "internationaliSDNNumber"],
  ["2.5.4.26", "registeredAddress"],
  ["2.5.4.27", "destinationIndicator"],
  ["2.5.4.28", "preferredDeliveryMethod"],
  ["2.5.4.31", "member"],
  ["2.5.4.32", "owner"],
  ["2.5.4.33", "roleOccupant"],
  ["2.5.4.34", "seeAlso"],
  ["2.5.4.35", "userPassword"],
  ["2.5.4.41", "name"],
  ["2.5.4.42", "GN"],
  ["2.5.4.43", "initials"],
  ["2.5.4.44", "generationQualifier"],
  ["2.5.4.45", "x500UniqueIdentifier"],
  ["2.5.4.46", "dnQualifier"],
  ["2.5.4.47", "enhancedSearchGuide"],
  ["2.5.4.49", "distinguishedName"],
  ["2.5.4.50", "uniqueMember"],
  ["2.5.4.51", "houseIdentifier"],
  ["2.5.4.65", "pseudonym"],
  ["2.5.4.97", "organizationIdentifier"],
]);
