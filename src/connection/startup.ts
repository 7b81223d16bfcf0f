/** Stage 5: the first packet from an identified client. Takes `Identified`, gives `Started`. */

import { ProtocolError, StageError } from "../errors.ts";
import { ByteBuffer } from "../wire/byte_buffer.ts";
import {
  type CancelRequest,
  decodeStartupPacket,
  MAX_STARTUP_PACKET_BYTES,
  type StartupMessage,
  type StartupPacket,
} from "../wire/startup_packet.ts";
import type { Identified } from "./identify.ts";
import { readClient } from "./socket.ts";

/** What the client wants: a session, or a query of another session cancelled. */
export interface Started extends Identified {
  readonly packet: StartupMessage | CancelRequest;
}

/**
 * Reads the StartupMessage or CancelRequest; in clear it has been read already. Bytes behind it stay in the
 * stream: giving them back would be too late for a client that has already ended its direction.
 *
 * @throws {ProtocolError} If it is neither; SSLRequest and GSSENCRequest have no place inside TLS.
 * @throws {StageError} `client_closed`, `client_lost`, or the signal's reason.
 */
export async function readStartup(identified: Identified, signal: AbortSignal): Promise<Started> {
  const { transport, stream } = identified;
  if (transport.kind === "plaintext") return { ...identified, packet: transport.packet };
  const buffer = new ByteBuffer(MAX_STARTUP_PACKET_BYTES);
  while (true) {
    const packet = decodeStartupPacket(buffer);
    if (packet !== null) return { ...identified, packet: sessionOrCancel(packet) };
    const chunk = await readClient(stream, missingBytes(buffer), signal);
    if (chunk === null) {
      throw new StageError("client_closed", "Client closed the connection before its StartupMessage");
    }
    buffer.append(chunk);
  }
}

/** How many bytes the packet at the front of `buffer` needs at least; its length word has been checked. */
function missingBytes(buffer: ByteBuffer): number {
  const word = buffer.peek(LENGTH_WORD_BYTES);
  if (word.length < LENGTH_WORD_BYTES) return LENGTH_WORD_BYTES - word.length;
  return new DataView(word.buffer, word.byteOffset).getUint32(0) - buffer.length;
}

function sessionOrCancel(packet: StartupPacket): StartupMessage | CancelRequest {
  if (packet.kind === "ssl_request" || packet.kind === "gssenc_request") {
    throw new ProtocolError("encryption requested inside TLS");
  }
  return packet;
}

const LENGTH_WORD_BYTES = 4;
