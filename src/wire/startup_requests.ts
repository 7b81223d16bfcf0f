/** The startup packets pgtls itself sends to a backend. */
import {
  CANCEL_KEY_OFFSET,
  CANCEL_REQUEST_CODE,
  MAX_SECRET_KEY_BYTES,
  MIN_SECRET_KEY_BYTES,
  SSL_REQUEST_CODE,
} from "./startup_packet.ts";

/** Encodes an SSLRequest: 8 bytes. */
export function encodeSslRequest(): Uint8Array {
  const bytes = new Uint8Array(SSL_REQUEST_BYTES);
  writeHead(bytes, SSL_REQUEST_CODE);
  return bytes;
}

/**
 * Encodes a CancelRequest: length, request code, process ID, secret key.
 *
 * @param target.processId The backend's process ID, a signed 32-bit integer.
 * @param target.secretKey The backend's secret key, 4 to 256 bytes.
 * @throws {RangeError} If the key is shorter or longer.
 */
export function encodeCancelRequest(
  target: { readonly processId: number; readonly secretKey: Uint8Array },
): Uint8Array {
  const { processId, secretKey } = target;
  if (secretKey.length < MIN_SECRET_KEY_BYTES || secretKey.length > MAX_SECRET_KEY_BYTES) {
    throw new RangeError(
      `Cannot encode CancelRequest: secret key has ${secretKey.length} bytes, expected 4 to 256`,
    );
  }
  const bytes = new Uint8Array(CANCEL_KEY_OFFSET + secretKey.length);
  writeHead(bytes, CANCEL_REQUEST_CODE).setInt32(8, processId);
  bytes.set(secretKey, CANCEL_KEY_OFFSET);
  return bytes;
}

function writeHead(bytes: Uint8Array, code: number): DataView {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(0, bytes.length);
  view.setUint32(4, code);
  return view;
}

const SSL_REQUEST_BYTES = 8;
