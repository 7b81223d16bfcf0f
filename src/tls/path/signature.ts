/** The signature on a certificate or CRL: by which algorithm, and whether a key made it. */

import { isSignedBy, type PublicKey, type SignatureAlgorithm, signatureAlgorithm } from "./algorithms.ts";
import type { SignedBytes } from "./certificate.ts";

/** The algorithm, if it is one that counts. */
export function usableAlgorithm(signed: SignedBytes): SignatureAlgorithm | null {
  const algorithm = signatureAlgorithm(signed.algorithm);
  return algorithm === "weak" ? null : algorithm;
}

/** Whether `key` made the signature, by an algorithm that counts. */
export function isSignedWith(signed: SignedBytes, key: PublicKey): boolean {
  const algorithm = usableAlgorithm(signed);
  return algorithm !== null && isSignedBy(signed.message, signed.signature, { algorithm, key });
}
