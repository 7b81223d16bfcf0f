/** The frame of every message after the StartupMessage: a type byte, a length, a body. */

import { ProtocolError } from "../errors.ts";

/** One whole message. */
export interface Message {
  /** The type byte, as the one character it is: `"R"`. */
  readonly type: string;
  readonly body: Uint8Array;
  /** The message exactly as received, type and length included. */
  readonly bytes: Uint8Array;
}

/**
 * Tells how long the message at the front of `head` is, type byte included.
 *
 * @param head Its first bytes; five are enough.
 * @param limitBytes The largest body taken.
 * @returns The size in bytes, or `null` while fewer than five bytes are there.
 * @throws {ProtocolError} If the length word is below 4, or the body is larger than `limitBytes`.
 * @see {@link https://www.postgresql.org/docs/current/protocol-message-formats.html | PostgreSQL, Message Formats}
 */
export function messageBytes(head: Uint8Array, limitBytes: number): number | null {
  if (head.length < HEAD_BYTES) return null;
  const bodyBytes = readUint32(head, TYPE_BYTES) - LENGTH_WORD_BYTES;
  if (bodyBytes >= 0 && bodyBytes <= limitBytes) return HEAD_BYTES + bodyBytes;
  throw new ProtocolError(`invalid length of message: expected a body of at most ${limitBytes} bytes`);
}

/** Whether `bytes` are one message, whole, and nothing else, with a body of at most `limitBytes`. */
export function isOneMessage(bytes: Uint8Array, limitBytes: number): boolean {
  if (bytes.length < HEAD_BYTES || bytes.length > HEAD_BYTES + limitBytes) return false;
  return readUint32(bytes, TYPE_BYTES) === bytes.length - TYPE_BYTES;
}

/** Takes one whole message apart; its size has been checked by {@linkcode messageBytes}. */
export function decodeMessage(bytes: Uint8Array): Message {
  return { type: String.fromCharCode(bytes[0]!), body: bytes.subarray(HEAD_BYTES), bytes };
}

/** Encodes a message: type, length, and `parts` one behind the other. */
export function encodeMessage(type: string, ...parts: readonly Uint8Array[]): Uint8Array {
  let bodyBytes = 0;
  for (const part of parts) bodyBytes += part.length;
  const bytes = new Uint8Array(HEAD_BYTES + bodyBytes);
  bytes[0] = type.charCodeAt(0);
  writeUint32(bytes, TYPE_BYTES, LENGTH_WORD_BYTES + bodyBytes);
  let offset = HEAD_BYTES;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

/** A big-endian number, in four bytes. */
export function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  writeUint32(bytes, 0, value);
  return bytes;
}

/** The big-endian number in the four bytes at `offset`, which must be there. */
export function readUint32(bytes: Uint8Array, offset: number): number {
  const [a, b, c, d] = [bytes[offset]!, bytes[offset + 1]!, bytes[offset + 2]!, bytes[offset + 3]!];
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}

/** Not with a DataView: V8 moves a small array out of its heap for the first that is made of it. */
function writeUint32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 24;
  bytes[offset + 1] = value >>> 16;
  bytes[offset + 2] = value >>> 8;
  bytes[offset + 3] = value;
}

/** Type byte and length word: what {@linkcode messageBytes} needs to see. */
export const HEAD_BYTES = 5;

const TYPE_BYTES = 1;
const LENGTH_WORD_BYTES = 4;
