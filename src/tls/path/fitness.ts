/** Whether one certificate, by itself, may play a role: leaf, issuer or trust anchor (RFC 5280 sections 4.2 and 6.1). */

import type { PeerRejectedError } from "../../errors.ts";
import { isUsableKey, signatureAlgorithm, toHex } from "./algorithms.ts";
import type { Certificate, SignedBytes } from "./certificate.ts";
import { describeTime } from "./describe.ts";
import { rejection } from "./rejection.ts";

/** What the leaf is for; decides the extended key usage. */
export type Purpose = "server" | "client";

/** Everything that is known when a certificate is judged. */
export interface Occasion {
  readonly purpose: Purpose;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/**
 * What keeps a leaf from being one, whoever signed it; `null` if nothing.
 *
 * @param occasion.isTrusted It stands in the bundle itself: then it may be a CA certificate, as the self-signed
 * one of PostgreSQL's manual is, and its own signature proves nothing either way.
 */
export function leafProblem(
  leaf: Certificate,
  occasion: Occasion & { readonly isTrusted: boolean },
): PeerRejectedError | null {
  if (leaf.extensions.basicConstraints?.isCa === true && !occasion.isTrusted) {
    return rejection("ca_as_leaf", leaf, "it is a CA certificate, expected a certificate of the peer's own");
  }
  // TLS signs with the leaf's key, and nothing else: RSA key exchange is gone.
  if (leaf.extensions.keyUsage?.has(DIGITAL_SIGNATURE) === false) {
    return rejection("key_usage", leaf, "its keyUsage lacks digitalSignature");
  }
  return commonProblem(leaf, occasion) ?? (occasion.isTrusted ? null : signatureProblem(leaf, leaf.signed));
}

/**
 * What keeps a presented certificate from being an issuer; `null` if nothing.
 *
 * @param occasion.issuersBelow CA certificates between it and the leaf. Self-issued ones count, unlike in
 * RFC 5280 section 6.1.4 (l): rustls-webpki counts them.
 */
export function issuerProblem(
  issuer: Certificate,
  occasion: Occasion & { readonly issuersBelow: number },
): PeerRejectedError | null {
  if (issuer.extensions.basicConstraints?.isCa !== true) {
    return rejection(
      "not_a_ca",
      issuer,
      "it signed another certificate without being a CA (basicConstraints CA:TRUE)",
    );
  }
  return authorityProblem(issuer, occasion) ?? signatureProblem(issuer, issuer.signed);
}

/** The same for a certificate of the bundle, whose own signature is not asked about. A version 1 root has nothing to check but dates and key. */
export function anchorProblem(
  anchor: Certificate,
  occasion: Occasion & { readonly issuersBelow: number },
): PeerRejectedError | null {
  if (!isAuthority(anchor)) {
    const state =
      "it is in the CA bundle without being a CA (basicConstraints CA:TRUE), so it vouches for itself only";
    return rejection("not_a_ca", anchor, state);
  }
  return authorityProblem(anchor, occasion);
}

/** Whether it may vouch for others: a CA, or a version 1 root, which has no way to say so. */
export function isAuthority(certificate: Certificate): boolean {
  return certificate.version === 1 || certificate.extensions.basicConstraints?.isCa === true;
}

/** Why this signature cannot count, whatever key made it. */
export function signatureProblem(
  object: Certificate | string,
  signed: SignedBytes,
): PeerRejectedError | null {
  const algorithm = signatureAlgorithm(signed.algorithm);
  if (algorithm === "weak") {
    return rejection(
      "weak_signature_algorithm",
      object,
      "it is signed with MD5 or SHA-1, expected SHA-256 or stronger",
    );
  }
  if (algorithm !== null) return null;
  const identifier = toHex(signed.algorithm.subarray(0, 40));
  const state =
    `its signature algorithm (${identifier}) is not one of RSA, RSA-PSS, ECDSA with SHA-2, or Ed25519`;
  return rejection("unsupported_algorithm", object, state);
}

function authorityProblem(
  authority: Certificate,
  occasion: Occasion & { readonly issuersBelow: number },
): PeerRejectedError | null {
  const { basicConstraints, keyUsage } = authority.extensions;
  if (keyUsage?.has(KEY_CERT_SIGN) === false) {
    return rejection(
      "key_usage",
      authority,
      "it signed another certificate, but its keyUsage lacks keyCertSign",
    );
  }
  const limit = basicConstraints?.pathLength ?? null;
  if (limit !== null && occasion.issuersBelow > limit) {
    const state = `${occasion.issuersBelow} CA certificates follow it, its basicConstraints allow ${limit}`;
    return rejection("path_length_exceeded", authority, state);
  }
  if (authority.subject.attributes.length === 0) {
    return rejection("not_a_ca", authority, "it has no subject, so nobody can name it as issuer");
  }
  return commonProblem(authority, occasion);
}

function commonProblem(certificate: Certificate, occasion: Occasion): PeerRejectedError | null {
  const { extensions, key } = certificate;
  if (extensions.unknownCritical.length > 0) {
    const list = extensions.unknownCritical.slice(0, 3).map((oid) => oid.slice(0, 40)).join(", ");
    return rejection(
      "unknown_critical_extension",
      certificate,
      `its critical extension ${list} is not supported`,
    );
  }
  const dates = dateProblem(certificate, occasion.now);
  if (dates !== null) return dates;
  const wanted = PURPOSE_OIDS[occasion.purpose];
  // anyExtendedKeyUsage does not count: rustls-webpki does not take it either.
  if (extensions.extendedKeyUsage?.includes(wanted.oid) === false) {
    return rejection("extended_key_usage", certificate, `its extendedKeyUsage lacks ${wanted.name}`);
  }
  if (key.kind === null) {
    const state = "its public key is not RSA, ECDSA P-256, P-384, P-521 or Ed25519";
    return rejection("unsupported_algorithm", certificate, state);
  }
  if (key.weakness !== null) return rejection("weak_key", certificate, key.weakness);
  return isUsableKey(key)
    ? null
    : rejection("malformed_certificate", certificate, "its public key is not a key");
}

function dateProblem(certificate: Certificate, now: number): PeerRejectedError | null {
  if (now > certificate.notAfter) {
    const state = `it expired on ${describeTime(certificate.notAfter)}, now is ${describeNow(now)}`;
    return rejection("expired", certificate, state);
  }
  // The negation also refuses a clock that is not a number.
  if (!(now >= certificate.notBefore)) {
    const state = `it is valid from ${describeTime(certificate.notBefore)}, now is ${describeNow(now)}`;
    return rejection("not_yet_valid", certificate, state);
  }
  return null;
}

function describeNow(now: number): string {
  return Number.isFinite(now) ? describeTime(Math.floor(now / 1000) * 1000) : "unknown";
}

const DIGITAL_SIGNATURE = 0;
const KEY_CERT_SIGN = 5;
const PURPOSE_OIDS: Readonly<Record<Purpose, { readonly oid: string; readonly name: string }>> = {
  server: { oid: "1.3.6.1.5.5.7.3.1", name: "serverAuth (anyExtendedKeyUsage does not count)" },
  client: { oid: "1.3.6.1.5.5.7.3.2", name: "clientAuth (anyExtendedKeyUsage does not count)" },
};
