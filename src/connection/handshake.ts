/** Stage 3: the TLS handshake with the client, where it asked for TLS. Takes `Routed`, gives `Secured`. */

import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { StageError } from "../errors.ts";
import { normalizeServerName } from "../tls/client_hello.ts";
import { presentedChain } from "../tls/peer.ts";
import type { Routed } from "./choose_route.ts";
import { ignore } from "./socket.ts";

/** Keys are agreed; who the client is has not been looked at. */
export interface Secured extends Routed {
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
export async function handshake(routed: Routed, signal: AbortSignal): Promise<Secured> {
  const { route, socket, transport } = routed;
  if (transport.kind === "plaintext") {
    socket.unshift(transport.rest);
    return { ...routed, stream: socket, tls: null };
  }
  // A reload has replaced the routes since the client was told that there is TLS.
  if (route.acceptor === null) {
    throw new StageError("handshake_failed", "Cannot do TLS on a listener without TLS");
  }
  const tlsSocket = await route.acceptor.accept(socket, signal);
  tlsSocket.on("error", ignore);
  checkServerName(routed, tlsSocket);
  return {
    ...routed,
    stream: tlsSocket,
    tls: { socket: tlsSocket, presented: presentedChain(tlsSocket) },
  };
}

/** The route was chosen by our reading of the ClientHello; the runtime's, which counts from here on, must be the same. */
function checkServerName({ serverName }: Routed, tlsSocket: TLSSocket): void {
  if (serverName === undefined) return;
  const { servername } = tlsSocket as TLSSocket & { servername?: string | false | null };
  if (serverName === (servername ? normalizeServerName(servername) : null)) return;
  tlsSocket.destroy();
  throw new StageError(
    "handshake_failed",
    "The server name of the handshake is not the one that chose the route",
  );
}
