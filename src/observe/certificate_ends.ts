/** When certificates end: what a gauge shows, and what makes pgtls not ready. */

import type { CertificateUse, UsedCertificate } from "./certificates.ts";

/** The end that matters of one route's certificates of one use. */
export interface CertificateEnd {
  readonly route: string | null;
  readonly use: CertificateUse["use"];
  readonly file: string | null;
  /** Milliseconds since 1970. */
  readonly notAfter: number;
  readonly subject: string;
}

/**
 * One end for each route and use, of what was loaded and of what backends have shown.
 *
 * Of a chain of our own the one that ends first; of a backend's certificates the one seen last. Of a CA bundle the
 * first that is still to end, because expired roots stand in many bundles and trust nobody; once all have ended, the
 * last that did. What nobody can read has no end.
 */
export function certificateEnds(certificates: readonly UsedCertificate[], now: number): CertificateEnd[] {
  const dated = certificates.filter(({ text }) => !Number.isNaN(text.notAfter));
  const uses = dated.flatMap(({ text: { notAfter, subject }, used }) =>
    used.filter(({ use }) => use !== "client_seen").map((use) => ({ ...use, notAfter, subject }))
  );
  const groups = Map.groupBy(uses, ({ use, route }) => `${use} ${route}`);
  return [...groups.values()].map((ends) => endOf(ends.toSorted((a, b) => a.notAfter - b.notAfter), now));
}

type DatedUse = CertificateEnd & Pick<CertificateUse, "lastSeen">;

function endOf(ends: readonly DatedUse[], now: number): CertificateEnd {
  const first = ends[0]!;
  if (first.use === "backend_seen") return ends.reduce((a, b) => a.lastSeen! > b.lastSeen! ? a : b);
  if (first.use !== "client_ca" && first.use !== "root_ca") return first;
  return ends.find(({ notAfter }) => notAfter > now) ?? ends.at(-1)!;
}
