/**
 * What a client says while it is authenticated. All of it has type `p`; only the server's last request tells whether
 * it is a PasswordMessage, a SASLInitialResponse or a SASLResponse.
 */

import { ProtocolError } from "../errors.ts";
import { encodeMessage, type Message, readUint32, uint32 } from "./message.ts";
import { fromBinary, toBinary } from "./scram_messages.ts";

/** The client's choice of mechanism and its first words in it. */
export interface SaslInitialResponse {
  readonly mechanism: string;
  /** `null` when the client sent none, which is not the same as an empty one. */
  readonly data: Uint8Array | null;
}

/**
 * Decodes a SASLInitialResponse: a NUL-terminated mechanism, a 4-byte length (-1 = no data), and the data.
 *
 * @throws {ProtocolError} If it is another message, or not laid out so to its last byte.
 */
export function decodeSaslInitialResponse(message: Message): SaslInitialResponse {
  const body = bodyOf(message, "SASL");
  const nameEnd = body.indexOf(0);
  const dataStart = nameEnd + 1 + LENGTH_WORD_BYTES;
  if (nameEnd < 1 || body.length < dataStart) throw brokenLayout("SASLInitialResponse");
  const mechanism = toBinary(body.subarray(0, nameEnd));
  const length = readUint32(body, nameEnd + 1);
  const data = body.subarray(dataStart);
  if (length === NO_DATA && data.length === 0) return { mechanism, data: null };
  if (length !== data.length) throw brokenLayout("SASLInitialResponse");
  return { mechanism, data };
}

/** The data of a SASLResponse. @throws {ProtocolError} If it is another message. */
export function decodeSaslResponse(message: Message): Uint8Array {
  return bodyOf(message, "SASL");
}

/**
 * The password in a PasswordMessage, as bytes in whatever encoding the client uses; a view of the message.
 *
 * @throws {ProtocolError} If it is another message, or not one NUL-terminated string.
 */
export function decodePasswordMessage(message: Message): Uint8Array {
  const body = bodyOf(message, "password");
  // PostgreSQL's own check: the NUL is there, and it is the last byte.
  if (body.length === 0 || body.indexOf(0) !== body.length - 1) throw brokenLayout("PasswordMessage");
  return body.subarray(0, -1);
}

/** Encodes a SASLInitialResponse. */
export function encodeSaslInitialResponse(mechanism: string, data: Uint8Array): Uint8Array {
  return encodeMessage("p", fromBinary(`${mechanism}\0`), uint32(data.length), data);
}

/** Encodes a SASLResponse. */
export function encodeSaslResponse(data: Uint8Array): Uint8Array {
  return encodeMessage("p", data);
}

/** Encodes a PasswordMessage. */
export function encodePasswordMessage(password: Uint8Array): Uint8Array {
  return encodeMessage("p", password, Uint8Array.of(0));
}

/** The words are PostgreSQL's: some clients show them, and people search for them. */
function bodyOf({ type, body }: Message, expected: "SASL" | "password"): Uint8Array {
  if (type === "p") return body;
  throw new ProtocolError(`expected ${expected} response, got message type ${type.charCodeAt(0)}`);
}

function brokenLayout(name: string): ProtocolError {
  return new ProtocolError(`invalid layout of ${name}`);
}

const LENGTH_WORD_BYTES = 4;
/** -1 as it stands there. */
const NO_DATA = 0xffffffff;
