/** Stage 8 for a CancelRequest: hand it to the backend and wait until it has been taken. */

import type { CancelRequest } from "../wire/startup_packet.ts";
import type { Backend } from "./connect_backend.ts";
import { readSome } from "./socket.ts";

/**
 * Sends the CancelRequest and waits for the backend to close, which is its only answer
 * ({@link https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS}):
 * a client that has seen the close may rely on the signal having been sent.
 *
 * @throws The signal's reason, if the backend does not close in time.
 */
export async function forwardCancel(
  packet: CancelRequest,
  backend: Backend,
  signal: AbortSignal,
): Promise<void> {
  backend.stream.write(packet.bytes);
  try {
    while (await readSome(backend.stream, DISCARD_BYTES, signal) !== null);
  } catch (error) {
    // A reset is a close, too: the postmaster does not linger.
    if (signal.aborted) throw error;
  }
}

// Nothing is expected; whatever comes is dropped.
const DISCARD_BYTES = 8_192;
