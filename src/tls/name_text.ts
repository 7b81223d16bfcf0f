/** The names in a certificate that has been accepted, for rules about who may do what. */

import { formatIp, unmap } from "../ip_address.ts";
import { parseCertificate } from "./path/certificate.ts";
import { attributeTexts, COMMON_NAME, type GeneralName } from "./path/names.ts";
import { parsePem } from "./path/pem.ts";

/** Names besides the subject as a whole. */
export interface CertificateNames {
  /** The common name; `null` if there is none, or more than one: nobody can say which would be meant. */
  readonly commonName: string | null;
  /** DNS names, e-mail addresses and URIs as written, IP addresses in their shortest form; other kinds are left out. */
  readonly alternativeNames: readonly string[];
}

/**
 * Reads the names of a certificate.
 *
 * @param pem One certificate.
 * @throws {PeerRejectedError | PemError | TypeError} If it is none. Nobody without a proper certificate is verified.
 */
export function certificateNames(pem: string): CertificateNames {
  const [block] = parsePem(pem);
  if (block === undefined) throw new TypeError("Cannot read certificate: expected PEM");
  const { subject, extensions } = parseCertificate(block.bytes, "certificate");
  const commonNames = attributeTexts(subject, COMMON_NAME);
  const commonName = commonNames.length === 1 ? commonNames[0]! : null;
  return { commonName, alternativeNames: (extensions.subjectAltNames ?? []).flatMap(textOf) };
}

function textOf(name: GeneralName): string[] {
  switch (name.kind) {
    case "dns":
    case "email":
    case "uri":
      return [name.value];
    case "ip":
      return [formatIp(unmap(name.value))];
    default:
      return [];
  }
}
