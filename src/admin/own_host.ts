/** Which names in a Host header are this server's own. */

import type { AdminConfig } from "../config/types.ts";
import { isLoopback } from "../config/address.ts";
import { isCertificateFor } from "../tls/certificate_names.ts";
import type { ListenerMaterial } from "../tls/material.ts";

/**
 * Tells the admin server's own names from others.
 *
 * Loopback addresses and `localhost` are its own, as is the address it is bound to and, with TLS, what its certificate
 * names. The port is not looked at: a tunnel has another one.
 *
 * @param material What the server shows now.
 * @returns `null` where client certificates are required: then a browser sent by somebody else gets in nowhere.
 */
export function ownHosts(
  { bindAddress, mtls }: AdminConfig,
  material: () => ListenerMaterial | null,
): ((host: string) => boolean) | null {
  if (mtls === true) return null;
  return (host) => {
    if (isLoopback(host) || host === bindAddress.host) return true;
    const own = material();
    return own !== null && isCertificateFor(own.leafDer, host);
  };
}
