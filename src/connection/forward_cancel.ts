/** Stage 8 for a CancelRequest: hand it to the backend and wait until it has been taken. */

import type { CancelRequest } from "../wire/startup_packet.ts";
import type { Backend } from "./connect_backend.ts";
import { Deadline } from "./deadline.ts";
import { readSome } from "./socket.ts";

/**
 * Sends the CancelRequest and waits for the backend to close, which is its only answer
 * ({@link https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS}):
 * a client that has seen the close may rely on the signal having been sent.
 *
 * @throws {StageError} `backend_timeout` if it does not close in time.
 */
export async function forwardCancel(
  packet: CancelRequest,
  backend: Backend,
  timeoutMs: number,
): Promise<void> {
  const deadline = new Deadline(
    timeoutMs,
    "backend_timeout",
    "Backend did not take the CancelRequest in time",
  );
  try {
    backend.stream.write(packet.bytes);
    while (await readSome(backend.stream, DISCARD_BYTES, deadline.signal) !== null);
  } catch (error) {
    // A reset is a close, too: the postmaster does not linger.
    if (deadline.signal.aborted) throw error;
  } finally {
    deadline.clear();
  }
}

// Nothing is expected; whatever comes is dropped.
const DISCARD_BYTES = 8_192;
