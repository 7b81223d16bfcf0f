/** What a server says while it authenticates: the Authentication messages, read and written. */

import { ProtocolError } from "../errors.ts";
import { encodeMessage, type Message, readUint32, uint32 } from "./message.ts";
import { fromBinary, toBinary } from "./scram_messages.ts";

/** An Authentication message. */
export type AuthenticationRequest =
  | { readonly kind: "ok" }
  | { readonly kind: "cleartext_password" }
  | { readonly kind: "md5_password"; readonly salt: Uint8Array }
  /** The mechanisms the server offers, best first. */
  | { readonly kind: "sasl"; readonly mechanisms: readonly string[] }
  | { readonly kind: "sasl_continue" | "sasl_final"; readonly data: Uint8Array }
  /** GSS, SSPI, OAuth's own and whatever comes after this was written. */
  | { readonly kind: "other"; readonly code: number };

/**
 * Decodes the body of an Authentication message (type `R`): a 4-byte code, then what the code calls for.
 *
 * @throws {ProtocolError} If the layout does not fit the code.
 * @see {@link https://www.postgresql.org/docs/current/protocol-message-formats.html | PostgreSQL, Message Formats}
 */
export function decodeAuthentication({ body }: Message): AuthenticationRequest {
  if (body.length < CODE_BYTES) throw brokenLayout();
  const code = readUint32(body, 0);
  const rest = body.subarray(CODE_BYTES);
  switch (code) {
    case CODES.ok:
      return sized(rest, 0, { kind: "ok" });
    case CODES.cleartext_password:
      return sized(rest, 0, { kind: "cleartext_password" });
    case CODES.md5_password:
      return sized(rest, MD5_SALT_BYTES, { kind: "md5_password", salt: rest });
    case CODES.sasl:
      return { kind: "sasl", mechanisms: decodeMechanisms(rest) };
    case CODES.sasl_continue:
      return { kind: "sasl_continue", data: rest };
    case CODES.sasl_final:
      return { kind: "sasl_final", data: rest };
    default:
      return { kind: "other", code };
  }
}

/** Encodes an Authentication message. */
export function encodeAuthentication(request: Exclude<AuthenticationRequest, { kind: "other" }>): Uint8Array {
  const code = uint32(CODES[request.kind]);
  switch (request.kind) {
    case "md5_password":
      return encodeMessage("R", code, request.salt);
    case "sasl":
      return encodeMessage("R", code, fromBinary([...request.mechanisms, "", ""].join("\0")));
    case "sasl_continue":
    case "sasl_final":
      return encodeMessage("R", code, request.data);
    default:
      return encodeMessage("R", code);
  }
}

/** NUL-terminated names, and a NUL behind the last that is the last byte. */
function decodeMechanisms(bytes: Uint8Array): string[] {
  if (bytes.at(-1) !== 0) throw brokenLayout();
  if (bytes.length === 1) return [];
  const names = toBinary(bytes.subarray(0, -1)).split("\0");
  if (names.pop() !== "" || names.includes("")) throw brokenLayout();
  return names;
}

function sized<R>(rest: Uint8Array, size: number, request: R): R {
  if (rest.length !== size) throw brokenLayout();
  return request;
}

function brokenLayout(): ProtocolError {
  return new ProtocolError("invalid layout of Authentication message");
}

const CODE_BYTES = 4;
const MD5_SALT_BYTES = 4;
const CODES = {
  ok: 0,
  cleartext_password: 3,
  md5_password: 5,
  sasl: 10,
  sasl_continue: 11,
  sasl_final: 12,
} as const;

/** SASL mechanisms of PostgreSQL: RFC 7677, with channel binding and without. */
export const SCRAM_SHA_256_PLUS = "SCRAM-SHA-256-PLUS";
export const SCRAM_SHA_256 = "SCRAM-SHA-256";
