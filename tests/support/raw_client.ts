/** A PostgreSQL client made of bytes: sends anything, in any pieces, and sees what comes back. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { decodeErrorResponse, type ErrorResponseFields } from "../../src/wire/error_response.ts";
import { packetOf, PROTOCOL_3_0, SSL_REQUEST } from "../wire/bytes.ts";
import { PeerStream, type PeerTlsOptions, textOf } from "./peer_stream.ts";

/** Connects to a port of 127.0.0.1 and sends nothing. */
export function connectRaw(port: number): Promise<PeerStream> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true });
    socket.once("error", reject);
    socket.once("connect", () => resolve(new PeerStream(socket)));
  });
}

/** Connects, sends SSLRequest, reads `S` and completes the TLS handshake. */
export async function connectRawTls(port: number, options: PeerTlsOptions = {}): Promise<PeerStream> {
  const client = await connectRaw(port);
  await client.send(SSL_REQUEST);
  assert.equal(textOf(await client.read(1)), "S");
  return await client.startTls(options);
}

/** Connects, sends `bytes`, and reads to the end of the stream. */
export async function answerTo(port: number, bytes: Uint8Array): Promise<Uint8Array> {
  await using client = await connectRaw(port);
  await client.send(bytes);
  return await client.readAll();
}

/** Reads to the end of the stream, which must be one ErrorResponse, and ends the other direction. */
export async function readError(client: PeerStream): Promise<ErrorResponseFields> {
  const bytes = await client.readAll();
  client.end();
  return decodeErrorResponse(bytes);
}

/** A StartupMessage of protocol 3.0 for user alice; with `size`, padded to that many bytes. */
export function startupMessage(size?: number): Uint8Array {
  if (size === undefined) return packetOf(PROTOCOL_3_0, "user\0alice\0database\0demo\0\0");
  const head = "user\0alice\0options\0";
  const padding = "x".repeat(size - "llllvvvv".length - head.length - "\0\0".length);
  return packetOf(PROTOCOL_3_0, head, padding, "\0\0");
}

/** A Query message. */
export function query(text: string): Uint8Array {
  const bytes = packetOf("", text, "\0");
  return Uint8Array.of("Q".charCodeAt(0), ...bytes);
}

/** A Terminate message. */
export const TERMINATE = Uint8Array.of(0x58, 0, 0, 0, 4);
