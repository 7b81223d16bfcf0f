/** `GET /certificates`: which certificates are in use, the one that ends first before the others. */

import type { Certificates, UsedCertificate } from "../../observe/certificates.ts";
import { json } from "../answer.ts";
import type { Endpoint } from "../router.ts";

/** Loaded certificates, and those that peers have shown. */
export function certificatesEndpoint(certificates: Certificates): Endpoint {
  return { GET: () => json({ certificates: certificates.list().map(view) }) };
}

function view({ text, used }: UsedCertificate): unknown {
  const { subject, sans, issuer, notBefore, notAfter, sha256 } = text;
  return {
    subject,
    sans,
    issuer,
    not_before: showTime(notBefore),
    not_after: showTime(notAfter),
    sha256,
    used: used.map(({ route, use, file, lastSeen }) => ({
      route,
      use,
      file,
      last_seen: lastSeen === null ? null : showTime(lastSeen),
    })),
  };
}

/** `null` for the dates of a certificate that nobody can read. */
function showTime(milliseconds: number): string | null {
  return Number.isNaN(milliseconds) ? null : new Date(milliseconds).toISOString();
}
