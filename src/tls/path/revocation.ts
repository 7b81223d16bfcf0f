/** Whether certificates of a path are revoked, by the CRL files of the operator alone: nothing is fetched. */

import type { PeerRejectedError } from "../../errors.ts";
import type { PublicKey } from "./algorithms.ts";
import type { Certificate } from "./certificate.ts";
import type { RevocationList } from "./crl.ts";
import { sameBytes } from "./der.ts";
import { describeName, describeTime } from "./describe.ts";
import { rejection } from "./rejection.ts";
import { isSignedWith } from "./signature.ts";

/** What the lists say of one certificate, and how long that may be relied on (milliseconds since 1970). */
export interface RevocationStatus {
  readonly problem: PeerRejectedError | null;
  readonly from: number;
  /** Exclusive. */
  readonly until: number;
}

/** The CRLs of one store. */
export class RevocationLists {
  readonly lists: readonly RevocationList[];
  /** Whether a list is signed by a key, so that a large one is hashed once, not at every handshake. */
  readonly #signed = new WeakMap<RevocationList, WeakMap<PublicKey, boolean>>();

  constructor(lists: readonly RevocationList[]) {
    this.lists = lists;
  }

  /** Whether a list is out of date at `now`, milliseconds since 1970. */
  hasRunOut(now: number): boolean {
    return this.lists.some((list) => now >= list.nextUpdate);
  }

  /**
   * The status of `certificate`, which `issuer` has signed.
   *
   * A list counts when its issuer has the same name and signed it with the same key. Revoked in any of them is revoked.
   */
  status(
    certificate: Certificate,
    options: { readonly issuer: Certificate; readonly now: number },
  ): RevocationStatus {
    const { issuer, now } = options;
    const lists = this.lists.filter((list) => this.isSignedBy(list, issuer));
    const usable = lists.filter((list) => list.unusable === null);
    if (usable.some((list) => list.revoked.has(certificate.serial))) {
      const state = `it is on the revocation list of ${describeName(issuer.subject)}`;
      return refuse(rejection("revoked", certificate, state));
    }
    const current = usable.filter((list) => list.thisUpdate <= now && now < list.nextUpdate);
    const best = current.reduce<RevocationList | null>(longer, null);
    if (best !== null) return { problem: null, from: best.thisUpdate, until: best.nextUpdate };
    const state = `its revocation cannot be checked: ${whyNone(issuer, lists, now)}`;
    return refuse(rejection("revocation_unknown", certificate, state));
  }

  /** Whether `list` is one of `issuer`: its name, its key, and cRLSign where it has a keyUsage at all. */
  isSignedBy(list: RevocationList, issuer: Certificate): boolean {
    if (!sameBytes(list.issuer.der, issuer.subject.der)) return false;
    if (issuer.extensions.keyUsage?.has(CRL_SIGN) === false) return false;
    const known = this.#signed.get(list)?.get(issuer.key);
    if (known !== undefined) return known;
    const isSigned = isSignedWith(list.signed, issuer.key);
    const answers = this.#signed.get(list) ?? new WeakMap<PublicKey, boolean>();
    this.#signed.set(list, answers.set(issuer.key, isSigned));
    return isSigned;
  }
}

function refuse(problem: PeerRejectedError): RevocationStatus {
  return { problem, from: Infinity, until: -Infinity };
}

function longer(best: RevocationList | null, list: RevocationList): RevocationList {
  return best !== null && best.nextUpdate >= list.nextUpdate ? best : list;
}

function whyNone(issuer: Certificate, lists: readonly RevocationList[], now: number): string {
  const [first] = lists;
  if (first === undefined) return `there is no CRL signed by its issuer ${describeName(issuer.subject)}`;
  if (first.unusable !== null) {
    return `the CRL of ${describeName(issuer.subject)} cannot be used: ${first.unusable}`;
  }
  if (now < first.thisUpdate) return `the CRL of its issuer is valid from ${describeTime(first.thisUpdate)}`;
  return `the CRL of its issuer ran out on ${describeTime(first.nextUpdate)}`;
}

const CRL_SIGN = 6;
