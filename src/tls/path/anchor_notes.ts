/** What an operator should know about a CA bundle although it can be used. */

import type { Certificate } from "./certificate.ts";
import { describeName, describeTime } from "./describe.ts";
import { anchorProblem, isAuthority, type Purpose } from "./fitness.ts";

/** One line for each certificate that anchors nothing, or only itself. */
export function anchorNotes(certificates: readonly Certificate[], now: number): string[] {
  return certificates.flatMap((certificate, index) => {
    const note = noteOn(certificate, now);
    return note === null ? [] : [`certificate ${index + 1} (${describeName(certificate.subject)}) ${note}`];
  });
}

function noteOn(certificate: Certificate, now: number): string | null {
  if (now > certificate.notAfter) {
    return `expired on ${describeTime(certificate.notAfter)}: it anchors nothing`;
  }
  if (now < certificate.notBefore) {
    return `is valid from ${describeTime(certificate.notBefore)}: it anchors nothing until then`;
  }
  if (!isAuthority(certificate)) return "is not a CA certificate: it is trusted as itself only";
  const problems = PURPOSES.map((purpose) => anchorProblem(certificate, { purpose, now, issuersBelow: 0 }));
  const [server, client] = problems;
  // One purpose ruled out is usual (a CA for clients only) and shows at the first refusal.
  if (!server || !client) return null;
  return `anchors nothing: ${server.message.slice(server.message.indexOf(": ") + 2)}`;
}

const PURPOSES: readonly Purpose[] = ["server", "client"];
