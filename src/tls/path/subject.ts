/** The subject of a certificate, for names in logs and records: nothing is decided by it. */

import { PeerRejectedError } from "../../errors.ts";
import { parseCertificate } from "./certificate.ts";

/** DER of the subject's Name; `null` when the certificate cannot be read strictly, so that no name is made up. */
export function subjectOf(der: Uint8Array): Uint8Array | null {
  try {
    return parseCertificate(der, "certificate", { asAnchor: true }).subject.der;
  } catch (error) {
    if (error instanceof PeerRejectedError) return null;
    throw error;
  }
}
