/**
 * Stage 4: who the client is. Takes `Secured`, gives `Identified`.
 * The decision itself is made in tls/verify.ts and nowhere else; this stage only brings it the facts.
 */

import { ProtocolError } from "../errors.ts";
import { ALPN_POSTGRESQL } from "../tls/acceptor.ts";
import type { TlsFacts } from "../tls/record.ts";
import { type ClientIdentity, plaintextClient, verifyClient } from "../tls/verify.ts";
import { factsOf } from "./facts.ts";
import type { Secured } from "./handshake.ts";

/** The client's identity is proven, or known to be unproven. */
export interface Identified extends Secured {
  readonly identity: ClientIdentity;
  /** The facts of the client's TLS connection, `null` in clear. */
  readonly clientTls: TlsFacts | null;
}

/**
 * Verifies the client's certificate against the route's own trust store, on resumed sessions too.
 *
 * @throws {PeerRejectedError} If the route requires a certificate and this one, or its absence, will not do.
 * @throws {StageError} `tls_required`, `plaintext_cancel_refused`: the route does not serve what came in clear.
 * @throws {ProtocolError} If direct TLS was started without ALPN `postgresql`
 *   ({@link https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL}).
 */
export function identify(secured: Secured): Identified {
  const { tls, transport, route } = secured;
  const listener = route.material.listener;
  if (tls === null || listener === null) {
    const isCancel = transport.kind === "plaintext" && transport.packet.kind === "cancel_request";
    const identity = plaintextClient(route.config.listener, isCancel ? "cancel" : "session");
    return { ...secured, identity, clientTls: null };
  }
  if (transport.kind === "direct_tls" && tls.socket.alpnProtocol !== ALPN_POSTGRESQL) {
    throw new ProtocolError('direct TLS connection without ALPN protocol "postgresql"');
  }
  const identity = verifyClient(tls.presented, listener.clientPolicy);
  return { ...secured, identity, clientTls: factsOf(secured, identity) };
}
