/** What to do about a certificate that was refused, by the check that failed. */

import type { RejectionCode } from "../../errors.ts";

/** The next step for a rejection code, or `null` for a code nobody wrote words for. */
export function describeRejection(code: string): string | null {
  return Object.hasOwn(REJECTIONS, code) ? REJECTIONS[code as RejectionCode] : null;
}

/** What happened, where the check that failed tells more than the reason alone; else `null`. */
export function describeRefusal(code: string, reason: string): string | null {
  if (reason !== "peer_rejected") return null;
  return code === "no_certificate"
    ? "The client presented no certificate, and this route demands one."
    : "The client presented a certificate that this route does not accept.";
}

/** Every rejection code; the type makes sure that none is missing. */
export const REJECTIONS: Readonly<Record<RejectionCode, string>> = {
  no_certificate:
    "The client sent no certificate. Set sslcert and sslkey (for libpq; for JDBC sslcert in PKCS#12) " +
    "and see that the client can read both files.",
  malformed_certificate:
    "The certificate is not strict DER. Issue it again with OpenSSL or another current tool.",
  unsupported_version:
    "The certificate is of an X.509 version before 3, as openssl x509 -req makes it without " +
    "extensions. Issue it again with extensions.",
  not_yet_valid: "The certificate begins later. Compare the clocks of this machine and of whoever issued it.",
  expired: "The certificate has ended. Issue a new one and give it to the client.",
  unknown_issuer:
    "The certificate is not issued by a CA of this route. Issue one from that CA, add the intermediate " +
    "certificates to the client's file, or add its CA to client_ca.",
  bad_signature:
    "The certificate names the right CA but is not signed by it: an old CA with the same name, or a " +
    "forgery. Issue it again from the present CA.",
  weak_signature_algorithm: "The certificate is signed with MD5 or SHA-1. Issue it again with SHA-256.",
  unsupported_algorithm:
    "The certificate uses an algorithm pgtls does not verify. Issue it with RSA, ECDSA or Ed25519.",
  weak_key: "The key is too short. Issue the certificate again with RSA 2048, P-256 or more.",
  not_a_ca:
    "A certificate of the chain is not a CA but issued another. Look at the intermediate certificates.",
  ca_as_leaf: "The client presents a CA's certificate as its own. Issue it one of its own.",
  path_length_exceeded: "A CA of the chain may not have that many CAs below it (pathLenConstraint).",
  key_usage: "The certificate's key usage does not allow this. Issue it again with digitalSignature.",
  extended_key_usage:
    "The certificate is for something else. Issue it again with extendedKeyUsage clientAuth " +
    "(for servers: serverAuth).",
  name_constraint: "A CA of the chain may not issue for this name (nameConstraints).",
  unknown_critical_extension:
    "The certificate has a critical extension that pgtls does not know. Issue it without.",
  name_mismatch: "The certificate is for another name. Connect by a name it lists, or set server_name.",
  revoked:
    "The certificate is on the CA's revocation list. If that is right, nobody may use it: issue a new one.",
  revocation_unknown: "No revocation list in date covers the certificate. Renew the file in client_crl.",
  too_complex:
    "The chain is longer or more tangled than pgtls follows. Send the leaf and its intermediates only.",
};
