/** The nameConstraints extension (RFC 5280 section 4.2.1.10), parsed; `constraints.ts` applies it. */

import { constructedTag, DerError, DerReader, readWhole, SEQUENCE } from "./der.ts";
import { isDomainBase } from "./dns.ts";
import { type GeneralName, readGeneralName } from "./names.ts";

/** Who may be named below a CA; RFC 5280 section 4.2.1.10. `null`: nothing said. */
export interface NameConstraints {
  readonly permitted: readonly GeneralName[];
  readonly excluded: readonly GeneralName[];
}

/** @throws {DerError} If it is not strict DER, is empty, or has a base nobody can apply. */
export function parseNameConstraints(value: Uint8Array): NameConstraints {
  const what = "nameConstraints";
  const reader = new DerReader(readWhole(value, SEQUENCE, what).content);
  const permitted = reader.readOptional(constructedTag(0), what);
  const excluded = reader.readOptional(constructedTag(1), what);
  reader.finish(what);
  if (permitted === null && excluded === null) throw new DerError(`${what} is empty`);
  return {
    permitted: permitted === null ? [] : readSubtrees(permitted.content, what),
    excluded: excluded === null ? [] : readSubtrees(excluded.content, what),
  };
}

function readSubtrees(content: Uint8Array, what: string): GeneralName[] {
  const reader = new DerReader(content);
  const bases: GeneralName[] = [];
  while (!reader.isDone) {
    const subtree = reader.readSequence(what);
    const base = readGeneralName(subtree, what, [8, 32]);
    // RFC 5280: minimum is 0, hence left out, and maximum is absent.
    subtree.finish(what);
    if (base.kind === "ip" && !isContiguousMask(base.value.subarray(base.value.length / 2))) {
      throw new DerError(`${what} has a mask that is not a prefix`);
    }
    if (base.kind === "dns" && !isDomainBase(base.value)) {
      throw new DerError(`${what} has a base that is not a domain`);
    }
    bases.push(base);
  }
  if (bases.length === 0) throw new DerError(`${what} is empty`);
  return bases;
}

function isContiguousMask(mask: Uint8Array): boolean {
  const bits = Array.from(mask, (octet) => octet.toString(2).padStart(8, "0")).join("");
  return /^1*0*$/.test(bits);
}
