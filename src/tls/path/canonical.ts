/** DER of no particular structure: attribute values, otherName and whatever else is carried but not understood. */

import {
  BIT_STRING,
  BMP_STRING,
  BOOLEAN,
  DerError,
  DerReader,
  type Element,
  ENUMERATED,
  IA5_STRING,
  INTEGER,
  NULL,
  OBJECT_IDENTIFIER,
  OCTET_STRING,
  PRINTABLE_STRING,
  SEQUENCE,
  SET,
  T61_STRING,
  UNIVERSAL_STRING,
  UTF8_STRING,
  VISIBLE_STRING,
} from "./der.ts";
import { checkInteger, decodeAscii, decodeBoolean, decodeOid, decodeUtf8 } from "./der_values.ts";

/** Refuses an element that is not DER all the way down. */
export function checkCanonical(element: Element, what: string, depth = 0): void {
  if (depth > MAX_DEPTH) throw new DerError(`${what} is nested too deeply`);
  const isConstructed = (element.tag & 0x20) !== 0;
  if ((element.tag & 0xc0) === 0 && isConstructed !== (element.tag === SEQUENCE || element.tag === SET)) {
    throw new DerError(`${what} has a constructed string`);
  }
  if (!isConstructed) return checkPrimitive(element, what);
  const reader = new DerReader(element.content);
  let previous: Uint8Array | null = null;
  while (!reader.isDone) {
    const child = reader.readAny(what);
    checkCanonical(child, what, depth + 1);
    if (element.tag === SET && previous !== null && isAfter(previous, child.der)) {
      throw new DerError(`${what} has a set that is not in order`);
    }
    previous = child.der;
  }
}

function checkPrimitive(element: Element, what: string): void {
  const { tag, content } = element;
  if ((tag & 0xc0) !== 0) return;
  switch (tag) {
    case BOOLEAN:
      return void decodeBoolean(content, what);
    case INTEGER:
    case ENUMERATED:
      return void checkInteger(content, what);
    case BIT_STRING:
      return checkBitString(content, what);
    case NULL:
      if (content.length > 0) throw new DerError(`${what} has a null with content`);
      return;
    case OBJECT_IDENTIFIER:
      return void decodeOid(content, what);
    case UTF8_STRING:
      return void decodeUtf8(content, what);
    case IA5_STRING:
    case PRINTABLE_STRING:
    case VISIBLE_STRING:
      return void decodeAscii(content, what);
    case BMP_STRING:
    case UNIVERSAL_STRING:
      if (content.length % (tag === BMP_STRING ? 2 : 4) !== 0) {
        throw new DerError(`${what} has a string cut short`);
      }
      return;
    case OCTET_STRING:
    case T61_STRING:
      return;
    default:
      if (!OTHER_PRIMITIVES.has(tag)) throw new DerError(`${what} has an unknown type`);
  }
}

function checkBitString(content: Uint8Array, what: string): void {
  const unused = content[0];
  if (unused === undefined || unused > 7) throw new DerError(`${what} is not a bit string`);
  const last = content.length > 1 ? content[content.length - 1]! : 0xff;
  if (unused > 0 && (last & ((1 << unused) - 1)) !== 0) {
    throw new DerError(`${what} has unused bits that are set`);
  }
}

function isAfter(left: Uint8Array, right: Uint8Array): boolean {
  const shared = Math.min(left.length, right.length);
  for (let index = 0; index < shared; index++) {
    if (left[index] !== right[index]) return left[index]! > right[index]!;
  }
  return left.length > right.length;
}

/** NumericString, GeneralizedTime, UTCTime, GraphicString, GeneralString: no check of ours looks inside. */
const OTHER_PRIMITIVES: ReadonlySet<number> = new Set([0x12, 0x17, 0x18, 0x19, 0x1b]);
/** The deepest thing in a certificate of practice is about 8 levels down. */
const MAX_DEPTH = 16;
