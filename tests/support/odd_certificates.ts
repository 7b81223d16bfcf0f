/** Certificates of chain_builder.ts in the forms the runtime does not read as it should, ready to be served. */
import { type CertificateSpec, issue, type Issued, makeLeaf, testKey } from "./chain_builder.ts";
import { children, type DerNode, findExtension } from "./der_tree.ts";
import type { Leaf } from "./pki.ts";

/** A certificate and its key as files want them; a chain of one. */
export function leafOf(issued: Issued): Leaf {
  const keyPem = issued.key.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  return { name: "leaf", certPem: issued.pem, chainPem: issued.pem, keyPem, der: issued.der };
}

/** A certificate of version 1 or 2, as `openssl x509 -req` makes them without extensions. */
export function issueOld(version: 1 | 2, subject: string, issuer: Issued): Issued {
  return issue({ subject, issuer, version });
}

/** Version 3, but one BOOLEAN is written in BER: TRUE as 01. */
export function issueBer(issuer: Issued, changes: Partial<CertificateSpec> = {}): Issued {
  return makeLeaf(issuer, { ...changes, edit: writeTrueAsOne });
}

/** Somebody else's CA with the very name of `ca`: whatever it issues differs in nothing but key and signature. */
export function impostorOf(ca: Issued): Issued {
  return issue({ ...ca.spec, key: testKey("P-256") });
}

function writeTrueAsOne(tbs: DerNode): void {
  const critical = children(findExtension(tbs, BASIC_CONSTRAINTS))[1]!;
  critical.content = Uint8Array.of(1);
}

/** 2.5.29.19, encoded. */
const BASIC_CONSTRAINTS = "551d13";
