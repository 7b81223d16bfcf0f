/** Which certificates to try as issuers, and in what order. */

import type { Certificate } from "./certificate.ts";
import { sameBytes } from "./der.ts";

/** Candidates whose key identifier fits come first. Only a hint: a wrong one excludes nothing (RFC 4158 section 3.5.12). */
export function likelyFirst(head: Certificate, candidates: readonly Certificate[]): readonly Certificate[] {
  const wanted = head.extensions.authorityKeyId;
  if (wanted === null || candidates.length < 2) return candidates;
  const fitting = candidates.filter((candidate) => candidate.extensions.subjectKeyId === wanted);
  return [...fitting, ...candidates.filter((candidate) => !fitting.includes(candidate))];
}

/** Same subject and same key: going through it again leads nowhere (RFC 4158 section 5.2). */
export function isIn(path: readonly Certificate[], issuer: Certificate): boolean {
  return path.some((certificate) => {
    return sameBytes(certificate.key.spki, issuer.key.spki) &&
      sameBytes(certificate.subject.der, issuer.subject.der);
  });
}
