/** Extensions for {@linkcode issue}, sound or as raw bytes. */

import {
  AuthorityKeyIdentifier,
  BasicConstraints,
  ExtendedKeyUsage,
  GeneralName,
  GeneralNames,
  GeneralSubtree,
  GeneralSubtrees,
  KeyIdentifier,
  NameConstraints,
  SubjectKeyIdentifier,
} from "@peculiar/asn1-x509";
import { AsnConvert } from "@peculiar/asn1-schema";

/** One extension; `value` is what stands inside the OCTET STRING. */
export interface ExtensionSpec {
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Uint8Array<ArrayBuffer>;
}

/** One name, by the field names of the library. */
export type GeneralNameParts = NonNullable<ConstructorParameters<typeof GeneralName>[0]>;

/** Any extension at all. */
export function rawExtension(
  oid: string,
  value: Uint8Array | readonly number[],
  critical = false,
): ExtensionSpec {
  return { oid, critical, value: Uint8Array.from(value) };
}

export function basicConstraints(isCa: boolean, pathLength?: number): ExtensionSpec {
  const parts = pathLength === undefined ? { cA: isCa } : { cA: isCa, pathLenConstraint: pathLength };
  return structured("2.5.29.19", new BasicConstraints(parts), true);
}

/** Bits as in {@linkcode KU}. */
export function keyUsage(...bits: readonly number[]): ExtensionSpec {
  const last = Math.max(...bits);
  const octets = new Uint8Array((last >> 3) + 1);
  for (const bit of bits) octets[bit >> 3]! |= 0x80 >> (bit & 7);
  return rawExtension("2.5.29.15", [0x03, octets.length + 1, 7 - (last & 7), ...octets], true);
}

export function extendedKeyUsage(...purposes: readonly string[]): ExtensionSpec {
  return structured("2.5.29.37", new ExtendedKeyUsage([...purposes]), false);
}

export function names(...parts: readonly GeneralNameParts[]): ExtensionSpec {
  return structured("2.5.29.17", new GeneralNames(parts.map((part) => new GeneralName(part))), false);
}

/** Address and mask in text are not what the library writes, so IP bases are given as octets: 8 or 32. */
export type ConstraintBase = GeneralNameParts | { readonly ip: readonly number[] };

export function nameConstraints(
  bases: { readonly permitted?: readonly ConstraintBase[]; readonly excluded?: readonly ConstraintBase[] },
): ExtensionSpec {
  const constraints = new NameConstraints();
  if (bases.permitted !== undefined) constraints.permittedSubtrees = subtrees(bases.permitted);
  if (bases.excluded !== undefined) constraints.excludedSubtrees = subtrees(bases.excluded);
  return structured("2.5.29.30", constraints, true);
}

export function subjectKeyId(id: readonly number[]): ExtensionSpec {
  return structured("2.5.29.14", new SubjectKeyIdentifier(Uint8Array.from(id).buffer), false);
}

export function authorityKeyId(id: readonly number[]): ExtensionSpec {
  const keyIdentifier = new KeyIdentifier(Uint8Array.from(id).buffer);
  return structured("2.5.29.35", new AuthorityKeyIdentifier({ keyIdentifier }), false);
}

function subtrees(bases: readonly ConstraintBase[]): GeneralSubtrees {
  return new GeneralSubtrees(bases.map((base) => {
    const name = "ip" in base ? ipBase(base.ip) : new GeneralName(base);
    return new GeneralSubtree({ base: name });
  }));
}

function ipBase(octets: readonly number[]): GeneralName {
  return AsnConvert.parse(Uint8Array.from([0x87, octets.length, ...octets]), GeneralName);
}

function structured(oid: string, value: object, critical: boolean): ExtensionSpec {
  return { oid, critical, value: new Uint8Array(AsnConvert.serialize(value)) };
}

/** Bit numbers of RFC 5280 section 4.2.1.3. */
export const KU = {
  digitalSignature: 0,
  keyEncipherment: 2,
  keyCertSign: 5,
  cRLSign: 6,
  decipherOnly: 8,
} as const;
export const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
export const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";
export const ANY_PURPOSE = "2.5.29.37.0";
export const CODE_SIGNING = "1.3.6.1.5.5.7.3.3";
