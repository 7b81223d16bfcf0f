/**
 * Path validation (RFC 5280 section 6): from the presented leaf, over presented issuers, to a listed CA.
 *
 * Paths are found by name first, without cryptography; signatures are then checked from the CA downwards, so that
 * an invented chain costs one signature check however long it is. Every candidate is tried until one path holds.
 */

import { PeerRejectedError } from "../../errors.ts";
import type { AnchorSet } from "./anchors.ts";
import { type Certificate, parseCertificate } from "./certificate.ts";
import { constraintProblem } from "./constraints.ts";
import { isIn, likelyFirst } from "./candidates.ts";
import { sameBytes } from "./der.ts";
import { anchorProblem, issuerProblem, leafProblem, type Occasion } from "./fitness.ts";
import { badSignature, moreTelling, rejection, unknownIssuer } from "./rejection.ts";
import type { RevocationLists } from "./revocation.ts";
import { isSignedWith } from "./signature.ts";

/** What a path may end in. */
export interface Trust {
  readonly anchors: AnchorSet;
  /** Listed certificates that a listed CA has revoked. */
  readonly revokedAnchors: ReadonlySet<Certificate>;
  /** `null`: revocation is not asked about. */
  readonly revocation: RevocationLists | null;
}

/** A path that holds, and for how long (milliseconds since 1970). */
export interface ValidPath {
  readonly leaf: Certificate;
  /** The listed certificate it ends in; the leaf itself when that is listed. */
  readonly anchor: Certificate;
  readonly from: number;
  /** Exclusive: the first expiry of a certificate or the last of a CRL. */
  readonly until: number;
  /** The earliest notAfter of the path, inclusive. */
  readonly notAfter: number;
}

/**
 * Finds a path for the presented chain, leaf first.
 *
 * @throws {PeerRejectedError} With the most telling reason of all that were met.
 */
export function findPath(presented: readonly Uint8Array[], trust: Trust, occasion: Occasion): ValidPath {
  const [first, ...rest] = presented;
  if (first === undefined) {
    throw new PeerRejectedError("no_certificate", "Cannot accept the peer: no certificate");
  }
  if (presented.length > MAX_PRESENTED) {
    const state = `it has ${presented.length} certificates, expected at most ${MAX_PRESENTED}`;
    throw rejection("too_complex", "the presented chain", state);
  }
  const leaf = parseCertificate(first, "certificate 1 of the presented chain");
  const anchor = trust.anchors.listed(first);
  const problem = leafProblem(leaf, { ...occasion, isTrusted: anchor !== null });
  if (problem !== null) throw problem;
  if (anchor !== null) return listedLeaf(anchor, trust);
  return new PathSearch(trust, occasion).run(leaf, rest);
}

/** A listed leaf needs no issuer; `leafProblem` has looked at the rest. */
function listedLeaf(leaf: Certificate, trust: Trust): ValidPath {
  if (trust.revokedAnchors.has(leaf)) throw rejection("revoked", leaf, "a CA of the bundle has revoked it");
  return { leaf, anchor: leaf, from: leaf.notBefore, until: leaf.notAfter + 1, notAfter: leaf.notAfter };
}

class PathSearch {
  readonly #trust: Trust;
  readonly #occasion: Occasion;
  readonly #checked = new Map<Certificate, Map<Certificate, boolean>>();
  readonly #budget = { comparisons: MAX_COMPARISONS };
  #pool: readonly Certificate[] = [];
  #steps = MAX_STEPS;
  #signatures = MAX_SIGNATURES;
  #problem: PeerRejectedError | null = null;
  #unreadable: PeerRejectedError | null = null;

  constructor(trust: Trust, occasion: Occasion) {
    this.#trust = trust;
    this.#occasion = occasion;
  }

  run(leaf: Certificate, others: readonly Uint8Array[]): ValidPath {
    this.#pool = others.flatMap((der, index) => this.#parseOther(der, index + 2));
    const path = this.#extend([leaf]);
    if (path !== null) return path;
    throw this.#finalProblem(leaf);
  }

  /** One that cannot be read is no issuer; a server may well send its old root along. */
  #parseOther(der: Uint8Array, position: number): Certificate[] {
    try {
      return [parseCertificate(der, `certificate ${position} of the presented chain`)];
    } catch (error) {
      if (!(error instanceof PeerRejectedError)) throw error;
      this.#unreadable ??= error;
      return [];
    }
  }

  /** When an issuer is missing, a certificate that could not be read may be why. */
  #finalProblem(leaf: Certificate): PeerRejectedError {
    const problem = this.#problem ?? unknownIssuer(leaf);
    if (problem.code !== "unknown_issuer" || this.#unreadable === null) return problem;
    const options = { cause: this.#unreadable };
    return new PeerRejectedError(problem.code, `${problem.message}; ${this.#unreadable.message}`, options);
  }

  #extend(path: readonly Certificate[]): ValidPath | null {
    const head = path[path.length - 1]!;
    for (const anchor of likelyFirst(head, this.#trust.anchors.named(head.issuer))) {
      const complete = this.#complete(path, anchor);
      if (complete !== null) return complete;
    }
    for (const issuer of likelyFirst(head, this.#pool)) {
      if (!sameBytes(issuer.subject.der, head.issuer.der) || isIn(path, issuer)) continue;
      this.#countStep(head);
      const problem = this.#longPath(path) ?? issuerProblem(issuer, this.#as(path));
      if (problem !== null) {
        this.#note(problem);
        continue;
      }
      const complete = this.#extend([...path, issuer]);
      if (complete !== null) return complete;
    }
    // Only the end of a path that leads nowhere: an issuer that was there but unfit has been noted already.
    this.#note(unknownIssuer(head));
    return null;
  }

  /** Whether `anchor` bears the whole path. */
  #complete(path: readonly Certificate[], anchor: Certificate): ValidPath | null {
    this.#countStep(path[0]!);
    const chain = [...path, anchor];
    const problem = this.#anchorProblem(path, anchor) ?? this.#signatureProblem(chain) ??
      this.#constraintProblem(chain);
    if (problem === null) return this.#withRevocation(chain);
    this.#note(problem);
    return null;
  }

  #anchorProblem(path: readonly Certificate[], anchor: Certificate): PeerRejectedError | null {
    const problem = anchorProblem(anchor, this.#as(path));
    if (problem !== null) return problem;
    return this.#trust.revokedAnchors.has(anchor)
      ? rejection("revoked", anchor, "a CA of the bundle revoked it")
      : null;
  }

  #signatureProblem(chain: readonly Certificate[]): PeerRejectedError | null {
    for (let index = chain.length - 2; index >= 0; index--) {
      const [subject, issuer] = [chain[index]!, chain[index + 1]!];
      if (this.#isSigned(subject, issuer)) continue;
      return badSignature(subject, issuer);
    }
    return null;
  }

  #isSigned(subject: Certificate, issuer: Certificate): boolean {
    const answers = this.#checked.get(subject) ?? new Map<Certificate, boolean>();
    this.#checked.set(subject, answers);
    const known = answers.get(issuer);
    if (known !== undefined) return known;
    this.#signatures -= 1;
    if (this.#signatures < 0) {
      throw rejection("too_complex", subject, "its path takes too many signature checks");
    }
    const isSigned = isSignedWith(subject.signed, issuer.key);
    answers.set(issuer, isSigned);
    return isSigned;
  }

  /** Constraints of every CA bind everything below it, self-issued certificates too. */
  #constraintProblem(chain: readonly Certificate[]): PeerRejectedError | null {
    for (let above = 1; above < chain.length; above++) {
      for (let below = 0; below < above; below++) {
        const options = { purpose: this.#occasion.purpose, isLeaf: below === 0, budget: this.#budget };
        const problem = constraintProblem(chain[above]!, chain[below]!, options);
        if (problem?.code === "too_complex") throw problem;
        if (problem !== null) return problem;
      }
    }
    return null;
  }

  #withRevocation(chain: readonly Certificate[]): ValidPath | null {
    const notAfter = Math.min(...chain.map((certificate) => certificate.notAfter));
    let from = Math.max(...chain.map((certificate) => certificate.notBefore));
    let until = notAfter + 1;
    for (let index = 0; index < chain.length - 1; index++) {
      const options = { issuer: chain[index + 1]!, now: this.#occasion.now };
      const status = this.#trust.revocation?.status(chain[index]!, options);
      if (status === undefined) break;
      if (status.problem !== null) {
        this.#note(status.problem);
        return null;
      }
      from = Math.max(from, status.from);
      until = Math.min(until, status.until);
    }
    return { leaf: chain[0]!, anchor: chain[chain.length - 1]!, from, until, notAfter };
  }

  #longPath(path: readonly Certificate[]): PeerRejectedError | null {
    if (path.length <= MAX_INTERMEDIATES) return null;
    const state = `its path has more than ${MAX_INTERMEDIATES} intermediate certificates`;
    return rejection("too_complex", path[0]!, state);
  }

  #as(path: readonly Certificate[]): Occasion & { readonly issuersBelow: number } {
    return { ...this.#occasion, issuersBelow: path.length - 1 };
  }

  #countStep(certificate: Certificate): void {
    this.#steps -= 1;
    if (this.#steps < 0) throw rejection("too_complex", certificate, "there are too many paths to try");
  }

  /** Keeps the most telling problem; of equals the first, which is the nearest to the leaf's likeliest path. */
  #note(problem: PeerRejectedError): void {
    this.#problem = this.#problem === null ? problem : moreTelling(this.#problem, problem);
  }
}

/** Chains of practice have two to four; rustls itself reads no more than 64 KB of them. */
const MAX_PRESENTED = 16;
/** As in rustls-webpki: with leaf and anchor, eight certificates. */
const MAX_INTERMEDIATES = 6;
/** Every step is a comparison of names and a look at extensions: microseconds. */
const MAX_STEPS = 2_000;
/** At about 1 ms each; the longest path needs seven, cross-signing a few more. rustls-webpki stops at 100. */
const MAX_SIGNATURES = 32;
/** As in rustls-webpki and Go's crypto/x509: 250,000. Here each costs a little more. */
const MAX_COMPARISONS = 100_000;
