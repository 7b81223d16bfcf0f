/** The cRLDistributionPoints and freshestCRL extensions (RFC 5280 section 4.2.1.13). */

import { checkCanonical } from "./canonical.ts";
import { constructedTag, DerError, DerReader, primitiveTag, readWhole, SEQUENCE, SET } from "./der.ts";
import { decodeNamedBits } from "./der_values.ts";
import { readGeneralNames } from "./names.ts";

/** CRLs come from files of the operator's, so the places are not used; but they must be well-formed. @throws {DerError} */
export function parseDistributionPoints(value: Uint8Array): null {
  const what = "cRLDistributionPoints";
  const reader = new DerReader(readWhole(value, SEQUENCE, what).content);
  if (reader.isDone) throw new DerError(`${what} is empty`);
  while (!reader.isDone) {
    const point = reader.readSequence(what);
    const name = point.readOptional(constructedTag(0), what);
    if (name !== null) checkDistributionPointName(name.content, what);
    const reasons = point.readOptional(primitiveTag(1), what);
    if (reasons !== null) decodeNamedBits(reasons.content, what);
    const issuer = point.readOptional(constructedTag(2), what);
    if (issuer !== null) readGeneralNames(new DerReader(issuer.content), what);
    point.finish(what);
    if (name === null && issuer === null) throw new DerError(`${what} has a point without a name`);
  }
  return null;
}

function checkDistributionPointName(content: Uint8Array, what: string): void {
  const reader = new DerReader(content);
  const fullName = reader.readOptional(constructedTag(0), what);
  if (fullName !== null) {
    readGeneralNames(new DerReader(fullName.content), what);
  } else {
    const relative = reader.read(constructedTag(1), what);
    checkCanonical({ ...relative, tag: SET }, what);
  }
  reader.finish(what);
}
