/**
 * The four messages of SCRAM (RFC 5802 section 7): text in, attributes out, and nothing lenient.
 *
 * Texts are "binary" strings, one character a byte: what is hashed must be the bytes that were sent, and an attribute
 * such as the user name may be in any encoding.
 */

import { ProtocolError } from "../errors.ts";

/** What a client says of channel binding: `n` it cannot, `y` it could but saw no offer, or the type it uses. */
export type GsFlag = "n" | "y" | { readonly type: string };

/** client-first-message. */
export interface ClientFirst {
  readonly flag: GsFlag;
  /** gs2-header, as sent: `n,,`. */
  readonly gs2Header: string;
  /** client-first-message-bare, as sent. */
  readonly bare: string;
  readonly nonce: string;
}

/** client-final-message. */
export interface ClientFinal {
  /** The decoded `c`: gs2-header and channel-binding data. */
  readonly channelBinding: Uint8Array;
  readonly nonce: string;
  readonly proof: Uint8Array;
  /** client-final-message-without-proof, as sent. */
  readonly withoutProof: string;
}

/** server-first-message. */
export interface ServerFirst {
  readonly nonce: string;
  readonly salt: Uint8Array;
  readonly iterations: number;
}

/**
 * Parses a client-first-message. The user name in it is ignored, as in PostgreSQL: the one that counts is in the
 * StartupMessage. Optional extensions are ignored, mandatory ones refused.
 *
 * @throws {ProtocolError} If it breaks the grammar, asks for an authorization identity or a mandatory extension.
 */
export function parseClientFirst(text: string): ClientFirst {
  const flagEnd = text.indexOf(",");
  const headerEnd = text.indexOf(",", flagEnd + 1) + 1;
  const flag = headerEnd > 0 ? parseFlag(text.slice(0, flagEnd)) : null;
  if (flag === null) throw malformed("client-first-message");
  if (headerEnd > flagEnd + 2) {
    if (!text.startsWith("a=", flagEnd + 1)) throw malformed("client-first-message");
    throw new ProtocolError("client uses authorization identity, but it is not supported", UNSUPPORTED);
  }
  const bare = text.slice(headerEnd);
  if (bare.startsWith("m=")) throw mandatoryExtension();
  const attributes = parseAttributes(bare, "client-first-message");
  requireOrder(attributes, "nr", "client-first-message");
  const nonce = attributes[1]!.value;
  if (!NONCE.test(nonce)) throw malformed("client-first-message");
  return { flag, gs2Header: text.slice(0, headerEnd), bare, nonce };
}

function parseFlag(text: string): GsFlag | null {
  if (text === "n" || text === "y") return text;
  return BINDING_TYPE.test(text) ? { type: text.slice("p=".length) } : null;
}

/** Parses a client-final-message. @throws {ProtocolError} If it breaks the grammar. */
export function parseClientFinal(text: string): ClientFinal {
  const attributes = parseAttributes(text, "client-final-message");
  requireOrder(attributes, "cr", "client-final-message");
  const last = attributes.at(-1)!;
  if (last.name !== "p") throw malformed("client-final-message");
  return {
    channelBinding: decodeBase64(attributes[0]!.value, "client-final-message"),
    nonce: attributes[1]!.value,
    proof: decodeBase64(last.value, "client-final-message"),
    withoutProof: text.slice(0, text.lastIndexOf(",p=")),
  };
}

/**
 * Parses a server-first-message.
 *
 * @throws {ProtocolError} If it breaks the grammar, wants a mandatory extension, or has an iteration count outside
 *   1..2^31 - 1.
 */
export function parseServerFirst(text: string): ServerFirst {
  if (text.startsWith("m=")) throw mandatoryExtension();
  const attributes = parseAttributes(text, "server-first-message");
  requireOrder(attributes, "rsi", "server-first-message");
  const [nonce, salt, iterations] = attributes as [Attribute, Attribute, Attribute];
  if (!NONCE.test(nonce.value) || !POSITIVE.test(iterations.value)) throw malformed("server-first-message");
  const count = Number(iterations.value);
  if (count > MAX_ITERATIONS) throw malformed("server-first-message");
  return { nonce: nonce.value, salt: decodeBase64(salt.value, "server-first-message"), iterations: count };
}

/**
 * Parses a server-final-message.
 *
 * @returns The server's signature.
 * @throws {ProtocolError} If it breaks the grammar, or is an error.
 */
export function parseServerFinal(text: string): Uint8Array {
  const [first] = parseAttributes(text, "server-final-message");
  // The server's own word for it is not shown: it is a token of the RFC, and anybody could have chosen it.
  if (first?.name === "e") throw new ProtocolError("SCRAM exchange refused in server-final-message");
  if (first?.name !== "v") throw malformed("server-final-message");
  return decodeBase64(first.value, "server-final-message");
}

/** Bytes as a binary string. */
export function toBinary(bytes: Uint8Array): string {
  // Not by spreading, which asks an iterator for every byte. Messages are bounded, far below what a call takes.
  return String.fromCharCode.apply(null, bytes as unknown as number[]);
}

/** A binary string as bytes. */
export function fromBinary(text: string): Uint8Array {
  const encoded = TEXT.encode(text);
  // ASCII, as nearly all messages are: a byte a character.
  if (encoded.length === text.length) return encoded;
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

interface Attribute {
  readonly name: string;
  readonly value: string;
}

/** `attr-val *("," attr-val)`, no name twice. Only a user name may be empty: libpq leaves it so. */
function parseAttributes(text: string, what: string): Attribute[] {
  if (text.includes("\0")) throw malformed(what);
  const attributes: Attribute[] = [];
  for (let start = 0, end = 0; end < text.length; start = end + 1) {
    const comma = text.indexOf(",", start);
    end = comma === -1 ? text.length : comma;
    const [name, value] = [text.charAt(start), text.slice(start + 2, end)];
    if (!isLetter(name) || text[start + 1] !== "=" || (value === "" && name !== "n")) throw malformed(what);
    if (attributes.some((attribute) => attribute.name === name)) throw malformed(what);
    attributes.push({ name, value });
  }
  return attributes;
}

function isLetter(text: string): boolean {
  return (text >= "a" && text <= "z") || (text >= "A" && text <= "Z");
}

/** @param names A letter for each of the first attributes. */
function requireOrder(attributes: readonly Attribute[], names: string, what: string): void {
  for (let i = 0; i < names.length; i++) if (attributes[i]?.name !== names[i]) throw malformed(what);
}

/** Only what an encoder writes: `fromBase64` itself would skip white space and forgive the last bits. */
function decodeBase64(text: string, what: string): Uint8Array {
  if (!BASE64.test(text)) throw malformed(what);
  try {
    return Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
  } catch {
    throw malformed(what);
  }
}

/** Never a part of the message: a proof may be in it. */
function malformed(what: string): ProtocolError {
  return new ProtocolError(`malformed SCRAM message: expected ${what}`);
}

function mandatoryExtension(): ProtocolError {
  return new ProtocolError("SCRAM message requires an unsupported extension", UNSUPPORTED);
}

const TEXT = new TextEncoder();

const BINDING_TYPE = /^p=[A-Za-z0-9.-]+$/;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** printable: %x21-2B / %x2D-7E. */
const NONCE = /^[\x21-\x2b\x2d-\x7e]+$/;

const POSITIVE = /^[1-9][0-9]{0,9}$/;

/** PostgreSQL's own: scram_iterations is a positive int. */
export const MAX_ITERATIONS = 2 ** 31 - 1;

const UNSUPPORTED = "0A000";
