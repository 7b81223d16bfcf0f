/** Names in certificates: distinguished names (RFC 5280 section 4.1.2.4) and general names (section 4.2.1.6). */

import { checkCanonical } from "./canonical.ts";
import {
  BMP_STRING,
  constructedTag,
  DerError,
  DerReader,
  type Element,
  IA5_STRING,
  OBJECT_IDENTIFIER,
  primitiveTag,
  PRINTABLE_STRING,
  SEQUENCE,
  SET,
  UTF8_STRING,
  VISIBLE_STRING,
} from "./der.ts";
import { decodeAscii, decodeOid, decodeUtf8 } from "./der_values.ts";

/** One attribute of a distinguished name. */
export interface Attribute {
  readonly oid: string;
  /** The text, or `null` for a type that is not text or not decodable. */
  readonly text: string | null;
}

/** A distinguished name. Two are the same exactly when their DER is. */
export interface DistinguishedName {
  readonly der: Uint8Array;
  /** In the order of the certificate, the sets flattened. */
  readonly attributes: readonly Attribute[];
}

/** A name in subjectAltName, or the base of a name constraint. */
export type GeneralName =
  | { readonly kind: "dns" | "email" | "uri"; readonly value: string }
  | { readonly kind: "ip"; readonly value: Uint8Array }
  | { readonly kind: "directory"; readonly value: DistinguishedName }
  | { readonly kind: "other" | "x400" | "ediparty" | "registered" };

/** @throws {DerError} If it is not a Name. */
export function readDistinguishedName(reader: DerReader, what: string): DistinguishedName {
  const element = reader.read(SEQUENCE, what);
  const attributes: Attribute[] = [];
  const sets = new DerReader(element.content);
  while (!sets.isDone) {
    const set = sets.read(SET, what);
    // The order of a multi-valued set matters to the encoding only.
    checkCanonical(set, what);
    const entries = new DerReader(set.content);
    if (entries.isDone) throw new DerError(`${what} has an empty part`);
    while (!entries.isDone) attributes.push(readAttribute(entries, what));
  }
  return { der: element.der, attributes };
}

/**
 * The next general name.
 *
 * @param ipLengths Octets an iPAddress may have: 4 and 16 for a name, 8 and 32 for a constraint.
 * @throws {DerError} If it is none of the nine forms.
 */
export function readGeneralName(reader: DerReader, what: string, ipLengths: readonly number[]): GeneralName {
  const element = reader.readAny(what);
  switch (element.tag) {
    case primitiveTag(1):
      return { kind: "email", value: decodeAscii(element.content, what) };
    case primitiveTag(2):
      return { kind: "dns", value: decodeAscii(element.content, what) };
    case primitiveTag(6):
      return { kind: "uri", value: decodeAscii(element.content, what) };
    case primitiveTag(7):
      if (!ipLengths.includes(element.content.length)) {
        throw new DerError(`${what} has an IP address of ${element.content.length} octets`);
      }
      return { kind: "ip", value: element.content };
    case primitiveTag(8):
      decodeOid(element.content, what);
      return { kind: "registered" };
    case constructedTag(4): {
      const inner = new DerReader(element.content);
      const value = readDistinguishedName(inner, what);
      inner.finish(what);
      return { kind: "directory", value };
    }
  }
  const kind = OPAQUE_NAMES[element.tag];
  if (kind === undefined) throw new DerError(`${what} has an unknown kind of name`);
  checkCanonical(element, what);
  return { kind };
}

/** GeneralNames: one or more to the end. @throws {DerError} If there is none. */
export function readGeneralNames(reader: DerReader, what: string): GeneralName[] {
  const names: GeneralName[] = [];
  while (!reader.isDone) names.push(readGeneralName(reader, what, [4, 16]));
  if (names.length === 0) throw new DerError(`${what} is empty`);
  return names;
}

/** The texts of the attributes of this type. */
export function attributeTexts(name: DistinguishedName, oid: string): (string | null)[] {
  return name.attributes.filter((attribute) => attribute.oid === oid).map((attribute) => attribute.text);
}

function readAttribute(reader: DerReader, what: string): Attribute {
  const entry = reader.readSequence(what);
  const oid = decodeOid(entry.read(OBJECT_IDENTIFIER, what).content, what);
  const value = entry.readAny(what);
  entry.finish(what);
  return { oid, text: decodeText(value, what) };
}

function decodeText(element: Element, what: string): string | null {
  switch (element.tag) {
    case UTF8_STRING:
      return decodeUtf8(element.content, what);
    case PRINTABLE_STRING:
    case IA5_STRING:
    case VISIBLE_STRING:
      return decodeAscii(element.content, what);
    case BMP_STRING:
      return decodeUtf16(element.content);
    default:
      return null;
  }
}

/** BMPString as UTF-16; `null` for what is not, which then matches nothing. */
function decodeUtf16(content: Uint8Array): string | null {
  try {
    return UTF16.decode(content);
  } catch {
    return null;
  }
}

export const COMMON_NAME = "2.5.4.3";
export const EMAIL_ADDRESS = "1.2.840.113549.1.9.1";

const OPAQUE_NAMES: Readonly<Record<number, "other" | "x400" | "ediparty">> = {
  [constructedTag(0)]: "other",
  [constructedTag(3)]: "x400",
  [constructedTag(5)]: "ediparty",
};
// A byte-order mark is a character like any other here: dropped, "\uFEFFalice" would read as "alice".
const UTF16 = new TextDecoder("utf-16be", { fatal: true, ignoreBOM: true });
