/** Stage 3: the TLS handshake with the client, where it asked for TLS. Takes `Negotiated`, gives `Secured`. */

import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { presentedChain } from "../tls/peer.ts";
import type { Negotiated } from "./negotiate.ts";
import { ignore } from "./socket.ts";

/** Keys are agreed; who the client is has not been looked at. */
export interface Secured extends Negotiated {
  /** Where PostgreSQL is spoken from here on: the TLS socket, or the raw one. */
  readonly stream: Socket;
  /** The TLS socket and the certificates the client presented on it; `null` in clear. */
  readonly tls: { readonly socket: TLSSocket; readonly presented: readonly Uint8Array[] } | null;
}

/**
 * Completes the handshake.
 *
 * @throws {StageError} `handshake_failed`, or the signal's reason.
 */
export async function handshake(negotiated: Negotiated, signal: AbortSignal): Promise<Secured> {
  const { route, socket, transport } = negotiated;
  if (transport.kind === "plaintext") {
    socket.unshift(transport.rest);
    return { ...negotiated, stream: socket, tls: null };
  }
  if (route.acceptor === null) throw new Error("Cannot do TLS on a listener without TLS");
  const tlsSocket = await route.acceptor.accept(socket, signal);
  tlsSocket.on("error", ignore);
  return {
    ...negotiated,
    stream: tlsSocket,
    tls: { socket: tlsSocket, presented: presentedChain(tlsSocket) },
  };
}
