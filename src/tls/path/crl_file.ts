/** The CRL file of an operator, checked against the CA bundle it belongs to. */

import type { AnchorSet } from "./anchors.ts";
import type { Certificate } from "./certificate.ts";
import { parseRevocationList, type RevocationList } from "./crl.ts";
import { DerError } from "./der.ts";
import { describeName, describeTime } from "./describe.ts";
import { isAuthority, signatureProblem } from "./fitness.ts";
import type { PemBlock } from "./pem.ts";
import { RevocationLists } from "./revocation.ts";
import { readPem, TrustStoreError } from "./trust_error.ts";

/** What a CRL file says about a bundle. */
export interface CrlFile {
  readonly revocation: RevocationLists;
  /** Listed certificates that a listed CA has revoked. */
  readonly revokedAnchors: ReadonlySet<Certificate>;
  readonly notes: readonly string[];
}

/**
 * Reads a PEM file of CRLs.
 *
 * @param options.now Milliseconds since 1970.
 * @throws {TrustStoreError} If a list is unreadable, out of date, weakly signed or not signed by the CA it names.
 */
export function readCrlFile(
  pem: string,
  options: { readonly anchors: AnchorSet; readonly now: number },
): CrlFile {
  const { anchors, now } = options;
  const lists = readLists(pem, now);
  const revocation = new RevocationLists(lists);
  const endNotes = lists.filter(({ nextUpdate }) => nextUpdate - now < SOON_MS).map((
    { issuer, nextUpdate },
  ) =>
    `the CRL of ${describeName(issuer)} runs out on ${describeTime(nextUpdate)} (nextUpdate): from then on ` +
    "every certificate of this CA is refused"
  );
  const notes = checkSigners(revocation, anchors);
  const revokedAnchors = findRevoked(revocation, anchors);
  const revokedNotes = [...revokedAnchors].map(({ subject }) =>
    `${describeName(subject)} is revoked: it anchors nothing`
  );
  return { revocation, revokedAnchors, notes: [...notes, ...endNotes, ...revokedNotes] };
}

function readLists(pem: string, now: number): RevocationList[] {
  const blocks = readPem(pem, "CRL file").filter((block) => block.label === "X509 CRL");
  if (blocks.length === 0) {
    throw new TrustStoreError('Cannot use CRL file: no "-----BEGIN X509 CRL-----" in it');
  }
  return blocks.map((block, index) => readList(block, { position: index + 1, now }));
}

function readList(block: PemBlock, options: { position: number; now: number }): RevocationList {
  const object = `CRL ${options.position}`;
  try {
    const list = parseRevocationList(block.bytes);
    const where = `${object} of ${describeName(list.issuer)}`;
    if (options.now >= list.nextUpdate) {
      throw new TrustStoreError(
        `Cannot use ${where}: it ran out on ${describeTime(list.nextUpdate)} (nextUpdate)`,
      );
    }
    if (options.now < list.thisUpdate) {
      throw new TrustStoreError(
        `Cannot use ${where}: it is valid from ${describeTime(list.thisUpdate)} (thisUpdate)`,
      );
    }
    const problem = signatureProblem(where, list.signed);
    if (problem !== null) throw new TrustStoreError(problem.message);
    return list;
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw new TrustStoreError(`Cannot read ${object}: ${error.message}, expected strict DER`, {
      cause: error,
    });
  }
}

/**
 * A list that names a listed CA must be signed by it. A list of an unlisted CA may belong to an intermediate that
 * peers present, and is checked against that; but a file in which no list is signed by a listed CA checks nothing.
 */
function checkSigners(revocation: RevocationLists, anchors: AnchorSet): string[] {
  let signed = 0;
  for (const list of revocation.lists) {
    const namesakes = anchors.named(list.issuer).filter(isAuthority);
    if (namesakes.some((authority) => revocation.isSignedBy(list, authority))) signed += 1;
    else if (namesakes.length > 0) {
      const state = `the CA of that name in the CA bundle did not sign it, or its keyUsage lacks cRLSign`;
      throw new TrustStoreError(`Cannot use CRL of ${describeName(list.issuer)}: ${state}`);
    }
  }
  if (signed > 0) return listNotes(revocation, anchors);
  const issuers = revocation.lists.slice(0, 3).map((list) => describeName(list.issuer)).join(", ");
  throw new TrustStoreError(
    `Cannot use CRL file: no CA of the CA bundle signed a list in it, found lists of ${issuers}`,
  );
}

function listNotes(revocation: RevocationLists, anchors: AnchorSet): string[] {
  const unusable = revocation.lists.filter((list) => list.unusable !== null)
    .map((list) =>
      `CRL of ${describeName(list.issuer)} says nothing about any certificate: ${list.unusable}`
    );
  const unknown = revocation.lists.filter((list) => anchors.named(list.issuer).length === 0)
    .map((list) =>
      `CRL of ${
        describeName(list.issuer)
      }, which is not in the CA bundle, counts only where peers present that CA`
    );
  return [...unusable, ...unknown];
}

/** A listed intermediate ends paths by itself, so its own revocation is looked up here, once. */
function findRevoked(revocation: RevocationLists, anchors: AnchorSet): ReadonlySet<Certificate> {
  return new Set(anchors.certificates.filter((certificate) => {
    const signers = anchors.named(certificate.issuer).filter(isAuthority);
    return revocation.lists.some((list) => {
      return list.unusable === null && list.revoked.has(certificate.serial) &&
        signers.some((signer) => revocation.isSignedBy(list, signer));
    });
  }));
}

/** Lists are often made for a week, and anew every day: one that has a day left was not replaced in time. */
const SOON_MS = 24 * 60 * 60 * 1000;
