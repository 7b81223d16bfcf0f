/** ErrorResponse: how a PostgreSQL server says no. */
import { ProtocolError } from "../errors.ts";

/** The fields of an ErrorResponse that pgtls writes or reads. */
export interface ErrorResponseFields {
  /** `FATAL` ends the connection. A backend may also send `PANIC`. */
  readonly severity: string;
  /** Five characters, as `28000`. */
  readonly sqlstate: string;
  /** The primary message: one line. */
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
}

/**
 * Encodes an ErrorResponse: byte `E`, 4-byte length without that byte, then fields, each a type byte and a
 * NUL-terminated string, then a NUL. NUL characters are left out of every text.
 *
 * @see {@link https://www.postgresql.org/docs/current/protocol-error-fields.html | PostgreSQL, Error and Notice Message Fields}
 */
export function encodeErrorResponse(
  fields: ErrorResponseFields & { readonly severity: "FATAL" | "ERROR" },
): Uint8Array {
  // S may be translated by a server, V never is: libpq shows the one, drivers switch on the other.
  const body = encodeField("S", fields.severity) + encodeField("V", fields.severity) +
    encodeField("C", fields.sqlstate) + encodeField("M", fields.message) +
    encodeField("D", fields.detail) + encodeField("H", fields.hint) + "\0";
  const encoded = new TextEncoder().encode(body);
  const bytes = new Uint8Array(HEAD_BYTES + encoded.length);
  bytes[0] = ERROR_RESPONSE_TYPE;
  new DataView(bytes.buffer).setUint32(1, bytes.length - 1);
  bytes.set(encoded, HEAD_BYTES);
  return bytes;
}

/**
 * Tells how long the ErrorResponse at the front of `head` is, type byte included.
 *
 * @param head Its first bytes; five are enough.
 * @returns The size in bytes, or `null` while fewer than five bytes are there.
 * @throws {ProtocolError} If it is not an ErrorResponse of 6 to 10_004 bytes. Among these are the errors of protocol 2,
 * `E` and a plain string, which a postmaster sends when it cannot start a process.
 */
export function errorResponseBytes(head: Uint8Array): number | null {
  if (head.length > 0 && head[0] !== ERROR_RESPONSE_TYPE) {
    throw new ProtocolError("Cannot read ErrorResponse: expected message type E");
  }
  if (head.length < HEAD_BYTES) return null;
  const size = 1 + new DataView(head.buffer, head.byteOffset, head.length).getUint32(1);
  if (size > HEAD_BYTES && size <= MAX_ERROR_RESPONSE_BYTES) return size;
  throw new ProtocolError(
    `Cannot read ErrorResponse: length is outside ${HEAD_BYTES}..${MAX_ERROR_RESPONSE_BYTES - 1} bytes`,
  );
}

/**
 * Decodes one whole ErrorResponse. Fields it does not know are skipped; of a field that stands twice the first counts;
 * the untranslated severity goes before the translated one.
 *
 * The texts are the server's own, as they came: see {@linkcode sanitizeErrorResponse}.
 *
 * @throws {ProtocolError} If `bytes` is not exactly one ErrorResponse with a severity, an SQLSTATE and a message.
 */
export function decodeErrorResponse(bytes: Uint8Array): ErrorResponseFields {
  if (errorResponseBytes(bytes) !== bytes.length) throw brokenLayout();
  const fields = splitFields(bytes);
  const severity = fields.get("V") ?? fields.get("S");
  const sqlstate = fields.get("C");
  const message = fields.get("M");
  if (severity === undefined || message === undefined || !SQLSTATE.test(sqlstate ?? "")) throw brokenLayout();
  const detail = fields.get("D");
  const hint = fields.get("H");
  return {
    severity,
    sqlstate: sqlstate ?? "",
    message,
    ...(detail !== undefined && { detail }),
    ...(hint !== undefined && { hint }),
  };
}

/**
 * Makes the texts safe to show and to log: every control character becomes a space, and no text is longer than
 * 1,000 characters. Before TLS the network writes these texts, not the server (CVE-2024-10977).
 */
export function sanitizeErrorResponse(fields: ErrorResponseFields): ErrorResponseFields {
  return {
    severity: sanitizeText(fields.severity),
    sqlstate: fields.sqlstate,
    message: sanitizeText(fields.message),
    ...(fields.detail !== undefined && { detail: sanitizeText(fields.detail) }),
    ...(fields.hint !== undefined && { hint: sanitizeText(fields.hint) }),
  };
}

function encodeField(type: string, text: string | undefined): string {
  return text === undefined ? "" : `${type}${text.replaceAll("\0", "")}\0`;
}

/** Walks `type byte, string, NUL` until the lone NUL, which must be the last byte. */
function splitFields(bytes: Uint8Array): Map<string, string> {
  const fields = new Map<string, string>();
  let offset = HEAD_BYTES;
  while (bytes[offset] !== 0) {
    const end = bytes.indexOf(0, offset + 1);
    if (end === -1) throw brokenLayout();
    const type = String.fromCharCode(bytes[offset] ?? 0);
    if (!fields.has(type)) fields.set(type, TEXT.decode(bytes.subarray(offset + 1, end)));
    offset = end + 1;
  }
  if (offset !== bytes.length - 1) throw brokenLayout();
  return fields;
}

function sanitizeText(text: string): string {
  const safe = text.replaceAll(UNSAFE_CHARACTERS, " ");
  return safe.length > MAX_TEXT_CHARACTERS ? `${safe.slice(0, MAX_TEXT_CHARACTERS - 1)}…` : safe;
}

function brokenLayout(): ProtocolError {
  return new ProtocolError("Cannot read ErrorResponse: expected fields S, C, M and a final terminator");
}

/** The longest ErrorResponse read before authentication, like the longest startup packet; libpq allows 30,000. */
export const MAX_ERROR_RESPONSE_BYTES = 10_004;

const ERROR_RESPONSE_TYPE = 0x45;

/** Type byte and length word. */
const HEAD_BYTES = 5;

const MAX_TEXT_CHARACTERS = 1_000;

const SQLSTATE = /^[0-9A-Z]{5}$/;

/** Controls (Cc), invisible formatting such as bidirectional overrides (Cf), line and paragraph separators. */
const UNSAFE_CHARACTERS = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

const TEXT = new TextDecoder("utf-8", { ignoreBOM: true });
