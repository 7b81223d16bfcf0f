/** Which names a certificate of our own carries. Nothing is decided about peers here: that is `verify.ts`. */

import { parseCertificate } from "./path/certificate.ts";
import { isNamed, parseReferenceName } from "./path/server_name.ts";
import { PeerRejectedError } from "../errors.ts";

/** Whether the certificate (DER) is for this DNS name or IP address, by RFC 9525; `false` if it cannot be read. */
export function isCertificateFor(der: Uint8Array, name: string): boolean {
  const reference = parseReferenceName(name);
  if (reference === null) return false;
  try {
    return isNamed(parseCertificate(der, "certificate", { asAnchor: true }), reference);
  } catch (error) {
    if (error instanceof PeerRejectedError) return false;
    throw error;
  }
}
