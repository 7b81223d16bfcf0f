/**
 * Certificates for tests: good ones by default, and any wrong one on request.
 *
 * Structures come from @peculiar/asn1-x509 and signatures from node:crypto, so that the verifier under test is not
 * tested against its own idea of DER. Whatever the structures refuse to say is bent in the tree before signing.
 */

import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  Extension,
  Extensions,
  Name,
  RelativeDistinguishedName,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Time,
  Validity,
} from "@peculiar/asn1-x509";
import { AsnConvert, OctetString } from "@peculiar/asn1-schema";
import { Buffer } from "node:buffer";
import { constants, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";

import type { ExtensionSpec } from "./certificate_extensions.ts";
import {
  basicConstraints,
  extendedKeyUsage,
  keyUsage,
  KU,
  names,
  SERVER_AUTH,
} from "./certificate_extensions.ts";
import { concat, type DerNode, encodeTree, parseTree, tlv } from "./der_tree.ts";

export type KeyKind =
  | "P-256"
  | "P-384"
  | "P-521"
  | "secp256k1"
  | "ed25519"
  | "rsa1024"
  | "rsa2048"
  | "rsa3072";

/** A key pair; `spki` and `pkcs8` are DER. */
export interface TestKey {
  readonly kind: KeyKind;
  readonly privateKey: KeyObject;
  readonly spki: Uint8Array;
}

/** Attributes by dotted identifier or short name, most general first; a string is a CN. */
export type NameSpec = string | readonly (readonly [string, string])[];

/** What to issue. Everything has a sound default but the subject. */
export interface CertificateSpec {
  readonly subject: NameSpec;
  /** Who signs; absent: itself. */
  readonly issuer?: Issued;
  /** A name of the issuer's that is not the signer's own. */
  readonly issuerName?: NameSpec;
  readonly key?: TestKey;
  /** A key that is not the issuer's. */
  readonly signWith?: TestKey;
  readonly version?: 1 | 2 | 3;
  readonly serial?: Uint8Array;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly extensions?: readonly ExtensionSpec[];
  readonly algorithm?: AlgorithmName;
  /** Bends the TBSCertificate before it is signed. */
  readonly edit?: (tbs: DerNode) => void;
  /** Bends the whole after it is signed. */
  readonly editSigned?: (certificate: DerNode) => void;
}

/** A certificate, the key in it, and what it was made from. */
export interface Issued {
  readonly der: Uint8Array<ArrayBuffer>;
  readonly pem: string;
  readonly key: TestKey;
  readonly spec: CertificateSpec;
}

/** Makes a certificate exactly as the specification says, sound or not. */
export function issue(spec: CertificateSpec): Issued {
  const key = spec.key ?? testKey("P-256");
  const signer = spec.signWith ?? spec.issuer?.key ?? key;
  const algorithm = spec.algorithm ?? defaultAlgorithm(signer.kind);
  const tree = parseTree(new Uint8Array(AsnConvert.serialize(structure(spec, key, algorithm))));
  spec.edit?.(tree);
  const certificate = parseTreeSigned(encodeTree(tree), tree, { signer, algorithm });
  spec.editSigned?.(certificate);
  const der = encodeTree(certificate);
  return { der, pem: toPem(der), key, spec: { ...spec, key } };
}

/** Issues the same again with something changed. */
export function reissue(issued: Issued, changes: Partial<CertificateSpec>): Issued {
  return issue({ ...issued.spec, ...changes });
}

/** A self-signed CA. */
export function makeRoot(subject: NameSpec, changes: Partial<CertificateSpec> = {}): Issued {
  return issue({
    subject,
    extensions: [basicConstraints(true), keyUsage(KU.keyCertSign, KU.cRLSign)],
    ...changes,
  });
}

/** A CA signed by another. */
export function makeIntermediate(
  issuer: Issued,
  subject: NameSpec,
  changes: Partial<CertificateSpec> = {},
): Issued {
  return makeRoot(subject, { issuer, ...changes });
}

/** The certificate of a server called `localhost`, or of whoever `changes` say. */
export function makeLeaf(issuer: Issued, changes: Partial<CertificateSpec> = {}): Issued {
  return issue({ subject: "leaf", issuer, extensions: leafExtensions(), ...changes });
}

/** What an ordinary server certificate has, with more behind it. */
export function leafExtensions(...more: readonly ExtensionSpec[]): ExtensionSpec[] {
  return [
    basicConstraints(false),
    keyUsage(KU.digitalSignature),
    extendedKeyUsage(SERVER_AUTH),
    names({ dNSName: "localhost" }),
    ...more,
  ];
}

/** A key of this kind. Without `name` any will do and they are taken from a small supply, since RSA keys are slow to make. */
export function testKey(kind: KeyKind, name?: string): TestKey {
  const label = `${kind} ${name ?? `any ${anyKey++ % SUPPLY[kind]}`}`;
  const known = keys.get(label);
  if (known !== undefined) return known;
  const pair = generate(kind);
  const key = {
    kind,
    privateKey: pair.privateKey,
    spki: new Uint8Array(pair.publicKey.export({ type: "spki", format: "der" })),
  };
  keys.set(label, key);
  return key;
}

/** PEM of some DER. */
export function toPem(der: Uint8Array, label = "CERTIFICATE"): string {
  const lines = Buffer.from(der).toString("base64").match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

/** The DER of a name. */
export function encodeName(spec: NameSpec): Name {
  const attributes = typeof spec === "string" ? [["CN", spec] as const] : spec;
  return new Name(attributes.map(([type, text]) => {
    const value = new AttributeValue({ utf8String: text });
    return new RelativeDistinguishedName([
      new AttributeTypeAndValue({ type: SHORT_NAMES[type] ?? type, value }),
    ]);
  }));
}

/** A signature by the named algorithm. */
export function signBytes(message: Uint8Array, key: TestKey, algorithm: AlgorithmName): Uint8Array {
  const { hash, salt } = ALGORITHMS[algorithm];
  if (salt === undefined) return sign(hash, message, key.privateKey);
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  return sign(hash, message, { key: key.privateKey, padding, saltLength: salt });
}

/** The DER of its AlgorithmIdentifier. */
export function algorithmIdentifier(algorithm: AlgorithmName): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(ALGORITHMS[algorithm].identifier, "hex"));
}

/** What a key signs with unless told otherwise. */
export function defaultAlgorithm(kind: KeyKind): AlgorithmName {
  if (kind === "ed25519") return "ed25519";
  if (kind.startsWith("rsa")) return "rsa-sha256";
  return kind === "P-521" ? "ecdsa-sha512" : kind === "P-384" ? "ecdsa-sha384" : "ecdsa-sha256";
}

/** `seconds` from now, in whole seconds as certificates want it. */
export function fromNow(seconds: number): Date {
  return new Date((Math.floor(Date.now() / 1000) + seconds) * 1000);
}

function structure(spec: CertificateSpec, key: TestKey, algorithm: AlgorithmName): TBSCertificate {
  const version = (spec.version ?? 3) - 1;
  const issuerName = spec.issuerName ?? spec.issuer?.spec.subject ?? spec.subject;
  const tbs = new TBSCertificate({
    version,
    serialNumber: new Uint8Array(spec.serial ?? concat([0x40], randomBytes(8))).buffer,
    signature: AsnConvert.parse(algorithmIdentifier(algorithm), AlgorithmIdentifier),
    issuer: encodeName(issuerName),
    validity: new Validity(),
    subject: encodeName(spec.subject),
    subjectPublicKeyInfo: AsnConvert.parse(key.spki, SubjectPublicKeyInfo),
  });
  tbs.validity.notBefore = new Time(spec.notBefore ?? fromNow(-3600));
  tbs.validity.notAfter = new Time(spec.notAfter ?? fromNow(86_400));
  if (version === 2 && spec.extensions !== undefined) {
    tbs.extensions = new Extensions(spec.extensions.map(({ oid, critical, value }) => {
      return new Extension({ extnID: oid, critical, extnValue: new OctetString(value) });
    }));
  }
  return tbs;
}

function parseTreeSigned(
  message: Uint8Array,
  tbs: DerNode,
  by: { signer: TestKey; algorithm: AlgorithmName },
): DerNode {
  const signature = signBytes(message, by.signer, by.algorithm);
  const algorithm = parseTree(algorithmIdentifier(by.algorithm));
  return { tag: 0x30, content: [tbs, algorithm, { tag: 0x03, content: concat([0], signature) }] };
}

function generate(kind: KeyKind): { privateKey: KeyObject; publicKey: KeyObject } {
  if (kind === "ed25519") return generateKeyPairSync("ed25519");
  if (kind.startsWith("rsa")) return generateKeyPairSync("rsa", { modulusLength: Number(kind.slice(3)) });
  return generateKeyPairSync("ec", { namedCurve: kind });
}

/** RSASSA-PSS-params: a digest, MGF1 with another or the same, a salt. */
export function pssIdentifier(digest: string, mgfDigest: string, salt: number): string {
  const hash = (id: string) => tlv(0x30, tlv(0x06, Buffer.from(id, "hex")), [0x05, 0x00]);
  const mgf = tlv(0x30, tlv(0x06, Buffer.from("2a864886f70d010108", "hex")), hash(mgfDigest));
  const params = tlv(0x30, tlv(0xa0, hash(digest)), tlv(0xa1, mgf), tlv(0xa2, [0x02, 0x01, salt]));
  return Buffer.from(tlv(0x30, tlv(0x06, Buffer.from("2a864886f70d01010a", "hex")), params)).toString("hex");
}

const SHA_256 = "608648016503040201";
const SHA_384 = "608648016503040202";
const SHA_512 = "608648016503040203";

interface Algorithm {
  readonly hash: string | null;
  readonly salt?: number;
  readonly identifier: string;
}

export type AlgorithmName =
  | `rsa-${"md5" | "sha1" | "sha256" | "sha384" | "sha512" | "sha256-absent"}`
  | `pss-${"sha256" | "sha384" | "sha512" | "sha256-salt20" | "sha256-mgf384" | "sha1"}`
  | `ecdsa-${"sha1" | "sha256" | "sha384" | "sha512" | "sha256-null"}`
  | "ed25519";

const ALGORITHMS: Readonly<Record<AlgorithmName, Algorithm>> = {
  "rsa-md5": { hash: "md5", identifier: "300d06092a864886f70d0101040500" },
  "rsa-sha1": { hash: "sha1", identifier: "300d06092a864886f70d0101050500" },
  "rsa-sha256": { hash: "sha256", identifier: "300d06092a864886f70d01010b0500" },
  "rsa-sha384": { hash: "sha384", identifier: "300d06092a864886f70d01010c0500" },
  "rsa-sha512": { hash: "sha512", identifier: "300d06092a864886f70d01010d0500" },
  "rsa-sha256-absent": { hash: "sha256", identifier: "300b06092a864886f70d01010b" },
  "pss-sha256": { hash: "sha256", salt: 32, identifier: pssIdentifier(SHA_256, SHA_256, 32) },
  "pss-sha384": { hash: "sha384", salt: 48, identifier: pssIdentifier(SHA_384, SHA_384, 48) },
  "pss-sha512": { hash: "sha512", salt: 64, identifier: pssIdentifier(SHA_512, SHA_512, 64) },
  "pss-sha256-salt20": { hash: "sha256", salt: 20, identifier: pssIdentifier(SHA_256, SHA_256, 20) },
  "pss-sha256-mgf384": { hash: "sha256", salt: 32, identifier: pssIdentifier(SHA_256, SHA_384, 32) },
  "pss-sha1": { hash: "sha1", salt: 20, identifier: "300d06092a864886f70d01010a3000" },
  "ecdsa-sha1": { hash: "sha1", identifier: "300906072a8648ce3d0401" },
  "ecdsa-sha256": { hash: "sha256", identifier: "300a06082a8648ce3d040302" },
  "ecdsa-sha384": { hash: "sha384", identifier: "300a06082a8648ce3d040303" },
  "ecdsa-sha512": { hash: "sha512", identifier: "300a06082a8648ce3d040304" },
  "ecdsa-sha256-null": { hash: "sha256", identifier: "300c06082a8648ce3d0403020500" },
  "ed25519": { hash: null, identifier: "300506032b6570" },
};

const SHORT_NAMES: Readonly<Record<string, string>> = {
  CN: "2.5.4.3",
  C: "2.5.4.6",
  O: "2.5.4.10",
  OU: "2.5.4.11",
  emailAddress: "1.2.840.113549.1.9.1",
};
const SUPPLY: Readonly<Record<KeyKind, number>> = {
  "P-256": 1_000_000,
  "P-384": 8,
  "P-521": 4,
  "secp256k1": 1,
  "ed25519": 1_000,
  "rsa1024": 1,
  "rsa2048": 3,
  "rsa3072": 1,
};
const keys = new Map<string, TestKey>();
let anyKey = 0;
