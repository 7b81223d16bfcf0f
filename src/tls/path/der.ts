/**
 * A strict reader of DER (X.690 section 10): one encoding for each value, anything else is refused.
 *
 * It reads what X.509 needs and no more: low tag numbers, definite and minimal lengths. There is no lenient
 * mode and no skipping: a caller says which element comes next, and says when nothing may follow.
 *
 * Why not a general ASN.1 library: those accept BER (long lengths, TRUE as 01, trailing elements), and the
 * runtime skips the proof that a peer holds its key for every certificate its own strict parser cannot read.
 */

/** The bytes are not strict DER, or not the structure that was expected. The message names the field. */
export class DerError extends Error {
  override readonly name = "DerError";
}

/** One tag-length-value. */
export interface Element {
  /** The identifier octet, class and constructed bit included. */
  readonly tag: number;
  /** Header and content. */
  readonly der: Uint8Array;
  readonly content: Uint8Array;
}

/** Reads the elements of one content in order. */
export class DerReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Whether everything has been read. */
  get isDone(): boolean {
    return this.#offset === this.#bytes.length;
  }

  /** Whether the next element has this tag. */
  isNext(tag: number): boolean {
    return this.#bytes[this.#offset] === tag;
  }

  /**
   * The next element, whatever its tag.
   *
   * @throws {DerError} If there is none, or its header is not minimal.
   */
  readAny(what: string): Element {
    const start = this.#offset;
    const tag = this.#byte(what);
    if ((tag & 0x1f) === 0x1f) throw new DerError(`${what} has a high tag number`);
    const length = this.#length(what);
    const contentStart = this.#offset;
    if (length > this.#bytes.length - contentStart) throw new DerError(`${what} is cut short`);
    this.#offset = contentStart + length;
    return {
      tag,
      der: this.#bytes.subarray(start, this.#offset),
      content: this.#bytes.subarray(contentStart, this.#offset),
    };
  }

  /** @throws {DerError} If the next element does not have this tag. */
  read(tag: number, what: string): Element {
    if (!this.isNext(tag)) throw new DerError(`${what} is missing or has the wrong type`);
    return this.readAny(what);
  }

  /** The next element if it has this tag. */
  readOptional(tag: number, what: string): Element | null {
    return this.isNext(tag) ? this.readAny(what) : null;
  }

  /** The elements of a SEQUENCE. */
  readSequence(what: string): DerReader {
    return new DerReader(this.read(SEQUENCE, what).content);
  }

  /** @throws {DerError} If anything is left. */
  finish(what: string): void {
    if (!this.isDone) throw new DerError(`${what} has trailing bytes`);
  }

  #byte(what: string): number {
    const byte = this.#bytes[this.#offset];
    if (byte === undefined) throw new DerError(`${what} is cut short`);
    this.#offset += 1;
    return byte;
  }

  #length(what: string): number {
    const first = this.#byte(what);
    if (first < 0x80) return first;
    const octets = first & 0x7f;
    if (octets === 0) throw new DerError(`${what} has an indefinite length`);
    if (octets > MAX_LENGTH_OCTETS) throw new DerError(`${what} is too long`);
    let length = 0;
    for (let index = 0; index < octets; index++) length = length * 256 + this.#byte(what);
    const minimum = octets === 1 ? 0x80 : 256 ** (octets - 1);
    if (length < minimum) throw new DerError(`${what} has a length that is not minimal`);
    return length;
  }
}

/** The one element that `bytes` is. @throws {DerError} If there is more, or less. */
export function readWhole(bytes: Uint8Array, tag: number, what: string): Element {
  const reader = new DerReader(bytes);
  const element = reader.read(tag, what);
  reader.finish(what);
  return element;
}

/** Whether two byte strings are the same. Nothing here is secret, so the time it takes may depend on them. */
export function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  for (let index = 0; index < left.length; index++) if (left[index] !== right[index]) return false;
  return true;
}

/** The tag of `[number] EXPLICIT`, or of an implicitly tagged constructed type. */
export function constructedTag(number: number): number {
  return 0xa0 | number;
}

/** The tag of an implicitly tagged primitive type. */
export function primitiveTag(number: number): number {
  return 0x80 | number;
}

export const BOOLEAN = 0x01;
export const INTEGER = 0x02;
export const BIT_STRING = 0x03;
export const OCTET_STRING = 0x04;
export const NULL = 0x05;
export const OBJECT_IDENTIFIER = 0x06;
export const ENUMERATED = 0x0a;
export const UTF8_STRING = 0x0c;
export const SEQUENCE = 0x30;
export const SET = 0x31;
export const PRINTABLE_STRING = 0x13;
export const T61_STRING = 0x14;
export const IA5_STRING = 0x16;
export const UTC_TIME = 0x17;
export const GENERALIZED_TIME = 0x18;
export const VISIBLE_STRING = 0x1a;
export const UNIVERSAL_STRING = 0x1c;
export const BMP_STRING = 0x1e;

/** Lengths up to 2^32 - 1: a CRL may pass 16 MB, nothing here passes 4 GB. */
const MAX_LENGTH_OCTETS = 4;
