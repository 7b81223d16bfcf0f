/** The hash of a certificate that SCRAM binds a login to: channel binding type `tls-server-end-point`. */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { signatureAlgorithm, toHex } from "./path/algorithms.ts";
import { readSigned } from "./path/certificate.ts";

/**
 * Hashes a certificate with the hash function of its own signature algorithm; with SHA-256 where that is MD5 or SHA-1.
 *
 * @param der The server's leaf, as sent in the handshake.
 * @returns `null` where the algorithm has no hash function of its own (Ed25519) or none that is known here: then there
 *   is no channel binding. PostgreSQL and libpq cannot bind to such a certificate either, and libpq fails if it is
 *   offered.
 * @see {@link https://www.rfc-editor.org/rfc/rfc5929#section-4.1 | RFC 5929, section 4.1}
 */
export function endPointHash(der: Uint8Array): Uint8Array | null {
  let hash = hashes.get(der);
  if (hash !== undefined) return hash;
  if (latest !== null && Buffer.compare(latest.der, der) === 0) return latest.hash;
  const name = hashOf(der);
  hash = name === null ? null : createHash(name).update(der).digest();
  hashes.set(der, hash);
  latest = { der, hash };
  return hash;
}

/** A listener's leaf is one object for all its connections. */
const hashes = new WeakMap<Uint8Array, Uint8Array | null>();

/** A backend's comes anew with every connection, and is nearly always the same as before. */
let latest: { readonly der: Uint8Array; readonly hash: Uint8Array | null } | null = null;

function hashOf(der: Uint8Array): string | null {
  const identifier = algorithmOf(der);
  if (identifier === null) return null;
  const algorithm = signatureAlgorithm(identifier);
  if (algorithm !== null && algorithm !== "weak") return algorithm.hash;
  const hex = toHex(identifier);
  return OTHERS.find(([prefix]) => hex.startsWith(prefix))?.[1] ?? null;
}

/** Only the frame is read: a listener may show a certificate that nobody but its clients has to accept. */
function algorithmOf(der: Uint8Array): Uint8Array | null {
  try {
    return readSigned(der, "the certificate").signed.algorithm;
  } catch {
    return null;
  }
}

/** What signatures of ours may not use, but a listener's certificate may: prefixes of the AlgorithmIdentifier. */
const OTHERS: readonly (readonly [prefix: string, hash: string])[] = [
  // MD5 and SHA-1 with RSA, the OIW's SHA-1, DSA and ECDSA with SHA-1, RSA-PSS with its SHA-1 default.
  ["06092a864886f70d010104", "sha256"],
  ["06092a864886f70d010105", "sha256"],
  ["06052b0e03021d", "sha256"],
  ["06072a8648ce380403", "sha256"],
  ["06072a8648ce3d0401", "sha256"],
  ["06092a864886f70d01010a3000", "sha256"],
  // SHA-224 with RSA and with ECDSA.
  ["06092a864886f70d01010e", "sha224"],
  ["06082a8648ce3d040301", "sha224"],
];
