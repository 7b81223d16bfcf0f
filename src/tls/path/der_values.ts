/** The values inside DER elements: each function takes a content and refuses every encoding but the one of DER. */

import { BOOLEAN, DerError, DerReader, type Element, GENERALIZED_TIME, UTC_TIME } from "./der.ts";

/**
 * `"lenient"` forgives the two slips found in public roots of old: a padded keyUsage, and GeneralizedTime before 2050.
 * For trust anchors only. A peer's certificate with either is refused.
 */
export type Form = "strict" | "lenient";

/** X.690 section 11.1: TRUE is FF. */
export function decodeBoolean(content: Uint8Array, what: string): boolean {
  if (content.length !== 1 || (content[0] !== 0x00 && content[0] !== 0xff)) {
    throw new DerError(`${what} is not a DER boolean`);
  }
  return content[0] === 0xff;
}

/** `BOOLEAN DEFAULT FALSE`: absent is false, and false must be absent (X.690 section 11.5). */
export function readDefaultFalse(reader: DerReader, what: string): boolean {
  const element = reader.readOptional(BOOLEAN, what);
  if (element === null) return false;
  if (!decodeBoolean(element.content, what)) throw new DerError(`${what} spells out its default`);
  return true;
}

/** The content of an INTEGER, which must be minimal (X.690 section 8.3.2). Negative ones pass. */
export function checkInteger(content: Uint8Array, what: string): Uint8Array {
  const [first, second] = content;
  if (first === undefined) throw new DerError(`${what} is empty`);
  if (second === undefined) return content;
  const isPadded = (first === 0x00 && second < 0x80) || (first === 0xff && second >= 0x80);
  if (isPadded) throw new DerError(`${what} is not a minimal integer`);
  return content;
}

/** A positive INTEGER without its sign octet: RSA moduli and signature halves. */
export function decodePositive(content: Uint8Array, what: string): Uint8Array {
  const bytes = checkInteger(content, what);
  if (bytes[0]! >= 0x80 || (bytes.length === 1 && bytes[0] === 0)) {
    throw new DerError(`${what} is not positive`);
  }
  return bytes[0] === 0 ? bytes.subarray(1) : bytes;
}

/** An INTEGER of 0..255. */
export function decodeSmallInteger(content: Uint8Array, what: string): number {
  const bytes = checkInteger(content, what);
  if (bytes[0]! >= 0x80 || bytes.length > 2 || (bytes.length === 2 && bytes[0] !== 0)) {
    throw new DerError(`${what} is out of range`);
  }
  return bytes[bytes.length - 1]!;
}

/** A BIT STRING that is a whole number of octets: keys and signatures. */
export function decodeOctets(content: Uint8Array, what: string): Uint8Array {
  if (content[0] !== 0) throw new DerError(`${what} is not a whole number of octets`);
  return content.subarray(1);
}

/** A named-bit list: the numbers of the bits that are set; no trailing zero bits (X.690 section 11.2.2) unless `form` is lenient. */
export function decodeNamedBits(
  content: Uint8Array,
  what: string,
  form: Form = "strict",
): ReadonlySet<number> {
  const unused = content[0];
  const last = content[content.length - 1];
  if (unused === undefined || last === undefined || unused > 7) {
    throw new DerError(`${what} is not a bit string`);
  }
  if (content.length === 1) {
    if (unused !== 0) throw new DerError(`${what} is not a bit string`);
    return new Set();
  }
  const isPadded = form === "strict" && ((last >> unused) & 1) === 0;
  if (isPadded || (last & ((1 << unused) - 1)) !== 0) {
    throw new DerError(`${what} is not a minimal list of bits`);
  }
  const bits = new Set<number>();
  for (let bit = 0; bit < (content.length - 1) * 8; bit++) {
    if ((content[1 + (bit >> 3)]! & (0x80 >> (bit & 7))) !== 0) bits.add(bit);
  }
  return bits;
}

/** An OBJECT IDENTIFIER in dotted form; arcs must be minimal (X.690 section 8.19.2). */
export function decodeOid(content: Uint8Array, what: string): string {
  const last = content[content.length - 1];
  if (last === undefined || last >= 0x80) throw new DerError(`${what} is cut short`);
  if (content.length > MAX_OID_OCTETS) throw new DerError(`${what} is longer than ${MAX_OID_OCTETS} octets`);
  const arcs: bigint[] = [];
  let arc = 0n;
  let isFirstOctet = true;
  for (const octet of content) {
    if (isFirstOctet && octet === 0x80) throw new DerError(`${what} is not minimal`);
    arc = (arc << 7n) | BigInt(octet & 0x7f);
    isFirstOctet = octet < 0x80;
    if (!isFirstOctet) continue;
    arcs.push(arc);
    arc = 0n;
  }
  const first = arcs[0]!;
  const root = first < 80n ? first / 40n : 2n;
  return [root, first - root * 40n, ...arcs.slice(1)].join(".");
}

/**
 * A `Time` in milliseconds since 1970, in the one form RFC 5280 section 4.1.2.5 allows for each year:
 * UTCTime through 2049, GeneralizedTime from 2050 (or any year if `form` is lenient), whole seconds, `Z`.
 */
export function decodeTime(element: Element, what: string, form: Form = "strict"): number {
  const text = decodeAscii(element.content, what);
  const isUtc = element.tag === UTC_TIME;
  if (!isUtc && element.tag !== GENERALIZED_TIME) throw new DerError(`${what} is not a time`);
  if (!(isUtc ? UTC_FORM : GENERALIZED_FORM).test(text)) {
    throw new DerError(`${what} is not in the form of RFC 5280`);
  }
  const century = isUtc ? (text < "5" ? "20" : "19") : "";
  const digits = century + text;
  const year = Number(digits.slice(0, 4));
  // Years before 1970 are refused by rustls-webpki too, as an encoding it cannot read.
  if (year < 1970 || (form === "strict" && !isUtc && year < 2050)) {
    throw new DerError(`${what} is not in the form of RFC 5280`);
  }
  const [month, day, hour, minute, second] = [4, 6, 8, 10, 12].map((at) =>
    Number(digits.slice(at, at + 2))
  ) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const time = Date.UTC(year, month - 1, day, hour, minute, second);
  const spelled = new Date(time).toISOString().replace(/[-T:]/g, "").slice(0, 14);
  if (spelled !== digits.slice(0, 14)) throw new DerError(`${what} is not a date`);
  return time;
}

/** 7-bit text: IA5String, the names of RFC 5280. */
export function decodeAscii(content: Uint8Array, what: string): string {
  for (const byte of content) if (byte >= 0x80) throw new DerError(`${what} is not ASCII`);
  return UTF8.decode(content);
}

/** @throws {DerError} If it is not UTF-8. */
export function decodeUtf8(content: Uint8Array, what: string): string {
  try {
    return UTF8.decode(content);
  } catch {
    throw new DerError(`${what} is not UTF-8`);
  }
}

const UTC_FORM = /^\d{12}Z$/;
const GENERALIZED_FORM = /^\d{14}Z$/;
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The longest in use have some 20 octets; shifting big integers through 64 KB would cost an attacker nothing. */
const MAX_OID_OCTETS = 128;
