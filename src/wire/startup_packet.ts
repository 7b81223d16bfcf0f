/**
 * The startup packet: the first thing a PostgreSQL client says, and the only message without a type byte.
 *
 * Layout: 4-byte length including itself, 4-byte request code or protocol version, body; big-endian.
 */
import { ProtocolError } from "../errors.ts";
import type { ByteBuffer } from "./byte_buffer.ts";
import { decodeStartupParameters } from "./startup_parameters.ts";

/** The client asks for TLS. */
export interface SslRequest {
  readonly kind: "ssl_request";
}

/** The client asks for GSSAPI encryption. */
export interface GssencRequest {
  readonly kind: "gssenc_request";
}

/** The client asks to cancel the query that another connection runs. */
export interface CancelRequest {
  readonly kind: "cancel_request";
  /** The process ID of the backend whose query is meant (a signed 32-bit integer). */
  readonly processId: number;
  /** The secret key of that backend, 4 to 256 bytes; always 4 before protocol 3.2. */
  readonly secretKey: Uint8Array;
  /** The packet exactly as received. */
  readonly bytes: Uint8Array;
}

/** The client names the user and the database it wants. */
export interface StartupMessage {
  readonly kind: "startup_message";
  readonly protocolMajor: number;
  readonly protocolMinor: number;
  /** As sent, without defaults: `database` may be absent. See {@linkcode decodeStartupParameters}. */
  readonly parameters: ReadonlyMap<string, string>;
  /** The packet exactly as received. */
  readonly bytes: Uint8Array;
}

/** Any of the four packets that may open a connection. */
export type StartupPacket = SslRequest | GssencRequest | CancelRequest | StartupMessage;

/**
 * Decodes the startup packet at the front of `buffer`, if it is complete.
 *
 * Takes nothing from `buffer` until the packet is whole, but refuses as early as the bytes allow: an impossible
 * length at the first byte that makes it so, an impossible request code or version at the eighth byte.
 *
 * @returns The packet, or `null` while bytes are missing.
 * @throws {ProtocolError} If the length is outside 8..10_004 bytes or does not fit the request code, or the body
 * breaks the layout (08P01); if the protocol version is not 3.x (0A000); if no user is named (28000).
 * @see {@link https://www.postgresql.org/docs/current/protocol-message-formats.html | PostgreSQL, Message Formats}
 */
export function decodeStartupPacket(buffer: ByteBuffer): StartupPacket | null {
  const head = buffer.peek(HEAD_BYTES);
  // Missing bytes read as zero: the smallest length that can still come.
  const padded = new Uint8Array(HEAD_BYTES);
  padded.set(head);
  const view = new DataView(padded.buffer);
  const length = view.getUint32(0);
  if (length > MAX_STARTUP_PACKET_BYTES) {
    throw new ProtocolError(`invalid length of startup packet: more than ${MAX_STARTUP_PACKET_BYTES} bytes`);
  }
  if (head.length < LENGTH_WORD_BYTES) return null;
  if (length < HEAD_BYTES) {
    throw new ProtocolError(`invalid length of startup packet: ${length}, less than ${HEAD_BYTES} bytes`);
  }
  if (head.length < HEAD_BYTES) return null;
  const code = view.getUint32(4);
  checkCode(code, length);
  return buffer.length < length ? null : decodeWhole(code, buffer.take(length));
}

function checkCode(code: number, length: number): void {
  const limits = REQUEST_LENGTHS.get(code);
  if (limits !== undefined) {
    if (length >= limits.min && length <= limits.max) return;
    throw new ProtocolError(`invalid length of ${limits.name}: ${length} bytes`);
  }
  const major = code >>> 16;
  if (major === PROTOCOL_MAJOR) return;
  throw new ProtocolError(
    `frontend protocol ${major}.${code & 0xffff} is not supported: expected 3.0 to 3.2`,
    FEATURE_NOT_SUPPORTED,
  );
}

function decodeWhole(code: number, bytes: Uint8Array): StartupPacket {
  switch (code) {
    case SSL_REQUEST_CODE:
      return { kind: "ssl_request" };
    case GSSENC_REQUEST_CODE:
      return { kind: "gssenc_request" };
    case CANCEL_REQUEST_CODE: {
      const processId = new DataView(bytes.buffer, bytes.byteOffset).getInt32(HEAD_BYTES);
      return { kind: "cancel_request", processId, secretKey: bytes.slice(CANCEL_KEY_OFFSET), bytes };
    }
    default:
      return {
        kind: "startup_message",
        protocolMajor: code >>> 16,
        protocolMinor: code & 0xffff,
        parameters: decodeStartupParameters(bytes.subarray(HEAD_BYTES)),
        bytes,
      };
  }
}

/** Request code of CancelRequest: 1234 in the high half, 5678 in the low. */
export const CANCEL_REQUEST_CODE = 80877102;

/** Request code of SSLRequest: 1234, 5679. */
export const SSL_REQUEST_CODE = 80877103;

/** Request code of GSSENCRequest: 1234, 5680. */
export const GSSENC_REQUEST_CODE = 80877104;

/**
 * The longest startup packet, its length word included: PostgreSQL's MAX_STARTUP_PACKET_LENGTH of 10,000 bytes,
 * which does not count that word. A backend behind us would refuse more, so we need not hold more.
 */
export const MAX_STARTUP_PACKET_BYTES = 10_004;

/** The shortest and longest secret key. 3.0 had 4 bytes; 3.2 allows up to 256. */
export const MIN_SECRET_KEY_BYTES = 4;
export const MAX_SECRET_KEY_BYTES = 256;

/** Where the secret key starts: after length, request code and process ID. */
export const CANCEL_KEY_OFFSET = 12;

const LENGTH_WORD_BYTES = 4;

/** Length word and request code: the shortest packet there is. */
const HEAD_BYTES = 8;

/** Every minor version passes: the backend settles it with NegotiateProtocolVersion. */
const PROTOCOL_MAJOR = 3;

const FEATURE_NOT_SUPPORTED = "0A000";

const REQUEST_LENGTHS = new Map([
  [SSL_REQUEST_CODE, { name: "SSLRequest", min: HEAD_BYTES, max: HEAD_BYTES }],
  [GSSENC_REQUEST_CODE, { name: "GSSENCRequest", min: HEAD_BYTES, max: HEAD_BYTES }],
  [CANCEL_REQUEST_CODE, {
    name: "CancelRequest",
    min: CANCEL_KEY_OFFSET + MIN_SECRET_KEY_BYTES,
    max: CANCEL_KEY_OFFSET + MAX_SECRET_KEY_BYTES,
  }],
]);
