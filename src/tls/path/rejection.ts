/** How a refusal is worded: action, certificate, what was found, what was expected. */

import { PeerRejectedError, type RejectionCode } from "../../errors.ts";
import type { Certificate } from "./certificate.ts";
import { describeName } from "./describe.ts";
import { usableAlgorithm } from "./signature.ts";

/** A refusal of `certificate` (or of something described by a text of ours). */
export function rejection(
  code: RejectionCode,
  certificate: Certificate | string,
  state: string,
): PeerRejectedError {
  const object = typeof certificate === "string"
    ? certificate
    : `certificate ${describeName(certificate.subject)}`;
  return new PeerRejectedError(code, `Cannot accept ${object}: ${state}`);
}

/** Nobody to ask. */
export function unknownIssuer(certificate: Certificate): PeerRejectedError {
  const state = `its issuer ${
    describeName(certificate.issuer)
  } is neither in the CA bundle nor among the presented certificates`;
  return rejection("unknown_issuer", certificate, state);
}

/** The key of the named issuer did not sign it. */
export function badSignature(subject: Certificate, issuer: Certificate): PeerRejectedError {
  const name = describeName(issuer.subject);
  // OpenSSL signs with SHA-256 unless told otherwise, whatever the key.
  if (issuer.key.curve === "P-521" && usableAlgorithm(subject.signed)?.hash === "sha256") {
    const state =
      `it is signed by the P-521 key of ${name} with SHA-256, which the runtime cannot check; expected SHA-512`;
    return rejection("unsupported_algorithm", subject, state);
  }
  return rejection("bad_signature", subject, `its signature was not made by the key of its issuer ${name}`);
}

/** Of two reasons the one that says more; of equals the first, which is nearer to the likeliest path. */
export function moreTelling(first: PeerRejectedError, second: PeerRejectedError): PeerRejectedError {
  return rank(second) > rank(first) ? second : first;
}

function rank(problem: PeerRejectedError): number {
  switch (problem.code) {
    case "unknown_issuer":
      return 1;
    case "bad_signature":
      return 2;
    default:
      return 3;
  }
}
