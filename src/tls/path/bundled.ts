/**
 * The certificates of CA bundles: each is read once, however many bundles list it, for as long as one of them is in use.
 *
 * The bundles of cloud databases hold more than a hundred, and a hundred routes may each have a copy of one.
 */

import { toHex } from "./algorithms.ts";
import { type Certificate, parseCertificate } from "./certificate.ts";

/**
 * The certificate with exactly these bytes, as an entry of a CA bundle. It says nothing about trust, and is the same for all.
 *
 * @param label What to call it while its subject is unknown.
 * @throws {PeerRejectedError} As {@linkcode parseCertificate}; that is not remembered.
 */
export function bundledCertificate(der: Uint8Array, label: string): Certificate {
  const hex = toHex(der);
  const before = known.get(hex)?.deref();
  if (before !== undefined) return before;
  const certificate = parseCertificate(der, label, { asAnchor: true });
  hexes.set(certificate.der, hex);
  known.set(hex, new WeakRef(certificate));
  unused.register(certificate, hex);
  return certificate;
}

/** As `toHex`, once for the same object: bundles that share a certificate find it by the same text. */
export function hexOf(der: Uint8Array): string {
  const hex = hexes.get(der) ?? toHex(der);
  hexes.set(der, hex);
  return hex;
}

/** By all of their bytes: what is not byte for byte the same is another certificate. */
const known = new Map<string, WeakRef<Certificate>>();

const hexes = new WeakMap<Uint8Array, string>();

const unused = new FinalizationRegistry<string>((hex) => {
  // It may have been read again since.
  if (known.get(hex)?.deref() === undefined) known.delete(hex);
});
