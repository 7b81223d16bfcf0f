/** The facts of the client's TLS connection, with what is known of its identity. */

import { tlsFacts } from "../tls/peer.ts";
import type { TlsFacts } from "../tls/record.ts";
import type { ClientIdentity } from "../tls/verify.ts";
import type { Secured } from "./handshake.ts";

/**
 * The facts of the client's TLS connection as known so far; usable before and without verification,
 * so that the closing line of a refused client says what it presented.
 */
export function factsOf(
  secured: Secured,
  identity: ClientIdentity | null,
  rejected?: Error,
): TlsFacts | null {
  if (secured.tls === null) return null;
  const error = identity?.kind === "anonymous" ? identity.error : rejected;
  // A session resumed from another route brings that route's certificate along: where none was asked for, there is none.
  const clientChain = identity?.chain ?? secured.tls.presented;
  return tlsFacts(secured.tls.socket, {
    serverCert: secured.route.material.listener?.leafDer ?? null,
    clientChain,
    clientCertError: error?.message ?? null,
  });
}
