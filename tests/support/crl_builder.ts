/** Certificate revocation lists for tests, sound by default and bent on request. */

import { AsnConvert } from "@peculiar/asn1-schema";
import {
  AlgorithmIdentifier,
  Extension,
  Extensions,
  RevokedCertificate,
  TBSCertList,
  Time,
  Version,
} from "@peculiar/asn1-x509";
import { OctetString } from "@peculiar/asn1-schema";

import type { ExtensionSpec } from "./certificate_extensions.ts";
import {
  algorithmIdentifier,
  type AlgorithmName,
  defaultAlgorithm,
  encodeName,
  fromNow,
  type Issued,
  signBytes,
  type TestKey,
  toPem,
} from "./chain_builder.ts";
import { children, concat, type DerNode, encodeTree, parseTree, tlv } from "./der_tree.ts";

/** What to list. */
export interface CrlSpec {
  readonly revoked?: readonly Issued[];
  readonly thisUpdate?: Date;
  /** `null`: none. */
  readonly nextUpdate?: Date | null;
  readonly extensions?: readonly ExtensionSpec[];
  readonly entryExtensions?: readonly ExtensionSpec[];
  readonly signWith?: TestKey;
  readonly algorithm?: AlgorithmName;
  readonly edit?: (list: DerNode) => void;
}

/** PEM of a list of `issuer`'s. */
export function makeCrl(issuer: Issued, spec: CrlSpec = {}): string {
  const signer = spec.signWith ?? issuer.key;
  const algorithm = spec.algorithm ?? defaultAlgorithm(signer.kind);
  const list = new TBSCertList({
    version: Version.v2,
    signature: AsnConvert.parse(algorithmIdentifier(algorithm), AlgorithmIdentifier),
    issuer: encodeName(issuer.spec.subject),
    thisUpdate: new Time(spec.thisUpdate ?? fromNow(-3600)),
  });
  if (spec.nextUpdate !== null) list.nextUpdate = new Time(spec.nextUpdate ?? fromNow(7 * 86_400));
  if (spec.revoked !== undefined) {
    list.revokedCertificates = spec.revoked.map((certificate) => entry(certificate, spec));
  }
  if (spec.extensions !== undefined) list.crlExtensions = encodeExtensions(spec.extensions);
  const tree = parseTree(new Uint8Array(AsnConvert.serialize(list)));
  spec.edit?.(tree);
  const message = encodeTree(tree);
  const signature = tlv(0x03, concat([0], signBytes(message, signer, algorithm)));
  return toPem(tlv(0x30, message, algorithmIdentifier(algorithm), signature), "X509 CRL");
}

function entry(certificate: Issued, spec: CrlSpec): RevokedCertificate {
  const tbs = children(parseTree(certificate.der))[0]!;
  const serial = children(tbs)[1]!.content as Uint8Array;
  const revoked = new RevokedCertificate({
    userCertificate: new Uint8Array(serial).buffer,
    revocationDate: new Time(fromNow(-7200)),
  });
  if (spec.entryExtensions !== undefined) {
    revoked.crlEntryExtensions = [...encodeExtensions(spec.entryExtensions)];
  }
  return revoked;
}

function encodeExtensions(extensions: readonly ExtensionSpec[]): Extensions {
  return new Extensions(extensions.map(({ oid, critical, value }) => {
    return new Extension({ extnID: oid, critical, extnValue: new OctetString(value) });
  }));
}
