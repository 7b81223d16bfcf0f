/** An end to how much a peer may send that is no content: before its handshake is done, and after it. */

import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";

/**
 * Calls `exceeded` once the peer has sent more than any handshake needs. Call what it returns when the handshake ends.
 *
 * Deno's TLS handle keeps what rustls will not take yet without bound: a peer that declares one long handshake message
 * and sends on makes it hold 400 MB a second (ext/node/ops/tls_wrap.rs, `clear_out_process`). Bytes are not reported
 * as they come, so they are looked at in short intervals.
 */
export function boundHandshake(socket: Socket, exceeded: (error: Error) => void): () => void {
  const before = socket.bytesRead;
  const stop = watch(() => {
    if (socket.bytesRead - before <= MAX_HANDSHAKE_BYTES) return;
    stop();
    exceeded(new Error(`the peer sent more than ${MAX_HANDSHAKE_BYTES} bytes without completing it`));
  });
  return stop;
}

/**
 * Destroys `secured` once its peer has sent a lot without a byte of content in it: after the handshake, too, a peer may
 * declare a long handshake message (TLS 1.2 renegotiation, KeyUpdate) and send on. Until {@linkcode releaseContent} or the end.
 *
 * @param raw The socket below it.
 */
export function boundContentless(raw: Socket, secured: TLSSocket): void {
  let [encrypted, decrypted] = [raw.bytesRead, secured.bytesRead];
  const stop = watch(() => {
    if (raw.destroyed) return release();
    if (secured.bytesRead !== decrypted) [encrypted, decrypted] = [raw.bytesRead, secured.bytesRead];
    if (raw.bytesRead - encrypted > MAX_CONTENTLESS_BYTES) secured.destroy(contentless());
  });
  const release = () => {
    stop();
    secured.removeListener("close", release);
    bounds.delete(secured);
  };
  secured.on("close", release);
  bounds.set(secured, release);
}

/** Ends {@linkcode boundContentless}: whoever reads from here on counts by himself. */
export function releaseContent(secured: Socket): void {
  bounds.get(secured)?.();
}

/** What a connection is destroyed with whose peer has sent more than {@linkcode MAX_CONTENTLESS_BYTES}. */
export function contentless(): Error {
  return new Error(`the peer sent more than ${MAX_CONTENTLESS_BYTES} bytes of TLS without content`);
}

/**
 * Looks every {@linkcode INTERVAL_MS}, until what it returns is called. One timer for all: every connection is watched
 * four times, and a timer of its own for each costs 10 µs.
 */
function watch(look: () => void): () => void {
  watched.add(look);
  timer ??= setInterval(lookAtAll, INTERVAL_MS);
  return () => void watched.delete(look);
}

function lookAtAll(): void {
  for (const look of watched) look();
  // Not as soon as nothing is left to be looked at: the next connection will come, or there is time to end.
  if (watched.size > 0 || timer === null) return;
  clearInterval(timer);
  timer = null;
}

/** Sixteen records of the largest size: padding, tickets and key updates have a few hundred bytes. */
export const MAX_CONTENTLESS_BYTES = 256 * 1024;

const bounds = new WeakMap<Socket, () => void>();

const watched = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | null = null;

// rustls takes handshake messages of up to 64 KB each; a chain of 16 certificates with room to spare.
const MAX_HANDSHAKE_BYTES = 256 * 1024;

// A handshake on one machine takes less; a flood over 10 Gbit/s brings 12 MB in the meantime.
const INTERVAL_MS = 10;
