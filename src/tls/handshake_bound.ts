/** An end to how much a peer may send before its handshake is done. */

import type { Socket } from "node:net";

/**
 * Calls `exceeded` once the peer has sent more than any handshake needs. Call what it returns when the handshake ends.
 *
 * Deno's TLS handle keeps what rustls will not take yet without bound: a peer that declares one long handshake message
 * and sends on makes it hold 400 MB a second (ext/node/ops/tls_wrap.rs, `clear_out_process`). Bytes are not reported
 * as they come, so they are looked at in short intervals.
 */
export function boundHandshake(socket: Socket, exceeded: (error: Error) => void): () => void {
  const before = socket.bytesRead;
  const timer = setInterval(() => {
    if (socket.bytesRead - before <= MAX_HANDSHAKE_BYTES) return;
    clearInterval(timer);
    exceeded(new Error(`the peer sent more than ${MAX_HANDSHAKE_BYTES} bytes without completing it`));
  }, INTERVAL_MS);
  return () => clearInterval(timer);
}

// rustls takes handshake messages of up to 64 KB each; a chain of 16 certificates with room to spare.
const MAX_HANDSHAKE_BYTES = 256 * 1024;

// A handshake on one machine takes less; a flood over 10 Gbit/s brings 12 MB in the meantime.
const INTERVAL_MS = 10;
