/**
 * How a backend answers an SSLRequest: one byte.
 *
 * The answer comes unencrypted, from whoever is on the network. Bytes behind the `S` are refused: read before TLS and
 * used after it they would be an attacker's word taken for the backend's (CVE-2021-23222).
 */
import { ProtocolError } from "../errors.ts";
import type { ByteBuffer } from "./byte_buffer.ts";
import {
  decodeErrorResponse,
  errorResponseBytes,
  type ErrorResponseFields,
  sanitizeErrorResponse,
} from "./error_response.ts";
import { NegotiationMachine } from "./negotiation_machine.ts";
import { encodeSslRequest } from "./startup_requests.ts";

/** What the backend answered. */
export type BackendNegotiationEvent =
  /** Start TLS. The machine must get no more bytes. */
  | { readonly kind: "tls" }
  /** The backend has no TLS to offer. */
  | { readonly kind: "refused" }
  /** The backend refuses the connection. The texts are sanitised, and unauthenticated. */
  | { readonly kind: "error_response"; readonly fields: ErrorResponseFields };

/**
 * The backend's side of the negotiation, without I/O: write what `start` gives, `receive` bytes, then call `next`
 * until it gives `null`.
 *
 * @see {@link https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL | PostgreSQL, SSL Session Encryption}
 */
export class BackendNegotiation extends NegotiationMachine<BackendNegotiationEvent> {
  #state: "waiting" | "tls" | "over" = "waiting";

  /** The bytes to write first: an SSLRequest. */
  start(): Uint8Array {
    return encodeSslRequest();
  }

  protected override advance(buffer: ByteBuffer): BackendNegotiationEvent | null {
    if (this.#state === "tls") refuseStuffedBytes(buffer);
    if (this.#state !== "waiting" || buffer.length === 0) return null;
    switch (buffer.peek(1)[0]) {
      case ANSWER_S:
        buffer.take(1);
        refuseStuffedBytes(buffer);
        this.#state = "tls";
        return { kind: "tls" };
      case ANSWER_N:
        this.#state = "over";
        return { kind: "refused" };
      case ANSWER_E:
        return this.#readError(buffer);
      default:
        throw new ProtocolError("Cannot negotiate TLS with backend: answer to SSLRequest is not S, N or E");
    }
  }

  #readError(buffer: ByteBuffer): BackendNegotiationEvent | null {
    const size = errorResponseBytes(buffer.peek(ERROR_HEAD_BYTES));
    if (size === null || buffer.length < size) return null;
    const fields = decodeErrorResponse(buffer.take(size));
    this.#state = "over";
    return { kind: "error_response", fields: sanitizeErrorResponse(fields) };
  }
}

function refuseStuffedBytes(buffer: ByteBuffer): void {
  if (buffer.length === 0) return;
  throw new ProtocolError("Cannot negotiate TLS with backend: received unencrypted data after its S");
}

const ANSWER_S = 0x53;
const ANSWER_N = 0x4e;
const ANSWER_E = 0x45;

/** What `errorResponseBytes` needs to see. */
const ERROR_HEAD_BYTES = 5;
