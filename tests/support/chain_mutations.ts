/** Ways to make a certificate different: what it says, how it is encoded, and what happens to it after signing. */

import { Buffer } from "node:buffer";

import {
  type AlgorithmName,
  type CertificateSpec,
  encodeName,
  fromNow,
  type KeyKind,
  testKey,
} from "./chain_builder.ts";
import {
  ANY_PURPOSE,
  authorityKeyId,
  basicConstraints,
  CLIENT_AUTH,
  CODE_SIGNING,
  type ConstraintBase,
  extendedKeyUsage,
  type ExtensionSpec,
  type GeneralNameParts,
  keyUsage,
  KU,
  nameConstraints,
  names,
  rawExtension,
  SERVER_AUTH,
  subjectKeyId,
} from "./certificate_extensions.ts";
import { children, concat, type DerNode, encodeTree, parseTree, tlv, walk } from "./der_tree.ts";
import type { Random } from "./random.ts";

/** Changes a specification; says what it did. */
export type Mutation = (spec: CertificateSpec, random: Random, signer: KeyKind) => Mutated;

/** What came of it, and its name. */
export interface Mutated {
  readonly spec: CertificateSpec;
  readonly what: string;
}

/** One change of any sort. @param signer The kind of key that will sign, for an algorithm that it can use. */
export function mutate(spec: CertificateSpec, random: Random, signer: KeyKind): Mutated {
  return random.pick(MUTATIONS)(spec, random, signer);
}

const MUTATIONS: readonly Mutation[] = [
  changeDates,
  changeNames,
  changeExtension,
  changeExtension,
  addExtension,
  addExtension,
  permuteExtensions,
  limitPath,
  bendExtension,
  bendExtension,
  changeAlgorithm,
  changeVersion,
  changeSigner,
  bendStructure,
  bendStructure,
  bendStructure,
  damageSigned,
];

function changeDates(spec: CertificateSpec, random: Random): Mutated {
  const changes: readonly Partial<CertificateSpec>[] = [
    { notAfter: fromNow(-5) },
    { notAfter: fromNow(-86_400 * 4000), notBefore: fromNow(-86_400 * 5000) },
    { notBefore: fromNow(3600) },
    { notBefore: fromNow(86_400 * 2) },
    { notAfter: new Date("2049-12-31T23:59:59Z") },
    { notAfter: new Date("2050-01-01T00:00:00Z") },
    { notAfter: new Date("9999-12-31T23:59:59Z") },
    { notBefore: new Date("1970-01-01T00:00:00Z") },
    { notBefore: new Date("1969-12-31T23:59:59Z") },
    { notBefore: new Date("1951-01-01T00:00:00Z") },
  ];
  return { spec: { ...spec, ...random.pick(changes) }, what: "dates" };
}

function changeNames(spec: CertificateSpec, random: Random): Mutated {
  const changes: readonly Partial<CertificateSpec>[] = [
    { issuerName: "somebody else" },
    { subject: [] },
    { subject: [["CN", "elsewhere"]] },
    { subject: [["O", "Example"], ["CN", "a"], ["CN", "b"]] },
    { subject: [["CN", "x"], ["emailAddress", "root@example.com"]] },
    { issuerName: [] },
  ];
  return { spec: { ...spec, ...random.pick(changes) }, what: "names" };
}

function changeExtension(spec: CertificateSpec, random: Random): Mutated {
  const extensions = [...spec.extensions ?? []];
  if (extensions.length === 0) {
    return { spec: { ...spec, extensions: [basicConstraints(true)] }, what: "add CA" };
  }
  const index = random.below(extensions.length);
  const extension = extensions[index]!;
  switch (random.below(4)) {
    case 0:
      extensions.splice(index, 1);
      return { spec: { ...spec, extensions }, what: `remove ${extension.oid}` };
    case 1:
      extensions.push(extension);
      return { spec: { ...spec, extensions }, what: `duplicate ${extension.oid}` };
    case 2:
      extensions[index] = { ...extension, critical: !extension.critical };
      return { spec: { ...spec, extensions }, what: `criticality of ${extension.oid}` };
    default:
      extensions[index] = randomExtension(random);
      return { spec: { ...spec, extensions }, what: `replace by ${extensions[index]!.oid}` };
  }
}

function addExtension(spec: CertificateSpec, random: Random): Mutated {
  const added = randomExtension(random);
  const extensions = [...(spec.extensions ?? []).filter((extension) => extension.oid !== added.oid), added];
  return { spec: { ...spec, extensions }, what: `set ${added.oid}` };
}

function limitPath(spec: CertificateSpec, random: Random): Mutated {
  const limit = random.below(2);
  const others = (spec.extensions ?? []).filter((extension) => extension.oid !== "2.5.29.19");
  return {
    spec: { ...spec, extensions: [...others, basicConstraints(true, limit)] },
    what: `pathLen ${limit}`,
  };
}

function permuteExtensions(spec: CertificateSpec, random: Random): Mutated {
  return {
    spec: { ...spec, extensions: random.shuffle(spec.extensions ?? []) },
    what: "order of extensions",
  };
}

function changeAlgorithm(spec: CertificateSpec, random: Random, signer: KeyKind): Mutated {
  const algorithm = random.pick(ALGORITHMS_OF[spec.signWith?.kind ?? signer]);
  return { spec: { ...spec, algorithm }, what: `algorithm ${algorithm}` };
}

function changeVersion(spec: CertificateSpec, random: Random): Mutated {
  const version = random.pick([1, 2] as const);
  return { spec: { ...spec, version }, what: `version ${version}` };
}

function changeSigner(spec: CertificateSpec, random: Random): Mutated {
  const kind = random.pick(["P-256", "ed25519"] as const);
  const { algorithm: _, ...rest } = spec;
  return { spec: { ...rest, signWith: testKey(kind, "stranger") }, what: `signed by a stranger (${kind})` };
}

/** Somewhere in the TBSCertificate, signed again. */
function bendStructure(spec: CertificateSpec, random: Random): Mutated {
  const seed = random.below(1_000_000);
  const edit = (tbs: DerNode) => {
    spec.edit?.(tbs);
    bend(tbs, seed);
  };
  return { spec: { ...spec, edit }, what: `structure ${BENDS[seed % BENDS.length]!.name}` };
}

/** Somewhere in the value of one extension, signed again. */
function bendExtension(spec: CertificateSpec, random: Random): Mutated {
  const extensions = [...spec.extensions ?? []];
  if (extensions.length === 0) return { spec, what: "nothing" };
  const index = random.below(extensions.length);
  const extension = extensions[index]!;
  const seed = random.below(1_000_000);
  let tree: DerNode;
  try {
    tree = parseTree(extension.value);
  } catch {
    // Bent before.
    return { spec, what: "nothing" };
  }
  bend(tree, seed);
  const value = random.oneIn(6) ? concat(encodeTree(tree), [0x05, 0x00]) : encodeTree(tree);
  extensions[index] = { ...extension, value };
  return {
    spec: { ...spec, extensions },
    what: `value of ${extension.oid} ${BENDS[seed % BENDS.length]!.name}`,
  };
}

/** After signing: outer algorithm, signature, anything. */
function damageSigned(spec: CertificateSpec, random: Random): Mutated {
  const seed = random.below(1_000_000);
  const isTop = random.oneIn(2);
  const editSigned = (certificate: DerNode) => {
    if (!isTop) return bend(certificate, seed);
    const signature = children(certificate)[2]!;
    const bytes = Uint8Array.from(signature.content as Uint8Array);
    bytes[seed % bytes.length]! ^= 1 << (seed % 8);
    signature.content = bytes;
  };
  return {
    spec: { ...spec, editSigned },
    what: isTop ? "signature" : `signed ${BENDS[seed % BENDS.length]!.name}`,
  };
}

/** Picks a node and a way to bend it. */
function bend(tree: DerNode, seed: number): void {
  const nodes = [...walk(tree)];
  BENDS[seed % BENDS.length]!(nodes[Math.floor(seed / BENDS.length) % nodes.length]!, seed >>> 3);
}

const BENDS: readonly ((node: DerNode, seed: number) => void)[] = [
  function longLength(node) {
    node.length = "long";
  },
  function indefiniteLength(node) {
    node.length = "indefinite";
  },
  function flipTag(node, seed) {
    node.tag ^= 1 << (seed % 8);
  },
  function flipContent(node, seed) {
    if (!(node.content instanceof Uint8Array) || node.content.length === 0) return;
    node.content = Uint8Array.from(node.content);
    node.content[seed % node.content.length]! ^= 1 << (seed % 8);
  },
  function truncate(node) {
    node.content = node.content.slice(0, -1) as typeof node.content;
  },
  function pad(node) {
    if (node.content instanceof Uint8Array) node.content = concat([0], node.content);
  },
  function append(node) {
    if (node.content instanceof Uint8Array) node.content = concat(node.content, [0]);
    else node.content.push({ tag: 0x05, content: new Uint8Array() });
  },
  function repeat(node) {
    if (!(node.content instanceof Uint8Array) && node.content.length > 0) node.content.push(node.content[0]!);
  },
  function swap(node) {
    if (!(node.content instanceof Uint8Array)) node.content.reverse();
  },
  function berTrue(node) {
    if (node.tag === 0x01) node.content = Uint8Array.of(1);
  },
  function explicitFalse(node) {
    if (node.tag === 0x30 && !(node.content instanceof Uint8Array)) {
      node.content.splice(Math.min(1, node.content.length), 0, { tag: 0x01, content: Uint8Array.of(0) });
    }
  },
  function empty(node) {
    node.content = node.content instanceof Uint8Array ? new Uint8Array() : [];
  },
];

function randomExtension(random: Random): ExtensionSpec {
  switch (random.below(11)) {
    case 0:
      return basicConstraints(random.oneIn(2), random.oneIn(3) ? undefined : random.below(4));
    case 1:
      return keyUsage(...random.shuffle(Object.values(KU)).slice(0, 1 + random.below(4)));
    case 2: {
      const purposes = random.shuffle([SERVER_AUTH, CLIENT_AUTH, ANY_PURPOSE, CODE_SIGNING]);
      return extendedKeyUsage(...purposes.slice(0, 1 + random.below(3)));
    }
    case 3:
    case 4:
      return nameConstraints(randomConstraints(random));
    case 5:
    case 6:
      return names({ dNSName: "localhost" }, ...random.shuffle(SAN_NAMES).slice(0, 1 + random.below(3)));
    case 7:
      return subjectKeyId([random.below(3), 1, 2, 3]);
    case 8:
      return authorityKeyId([random.below(3), 1, 2, 3]);
    case 9:
      return rawExtension("2.5.29.31", DISTRIBUTION_POINT, random.oneIn(4));
    default:
      return rawExtension(random.pick(ODD_OIDS), tlv(0x30, [0x05, 0x00]), random.oneIn(3));
  }
}

function randomConstraints(random: Random) {
  const permitted = random.shuffle(CONSTRAINT_BASES).slice(0, random.below(3));
  const excluded = random.shuffle(CONSTRAINT_BASES).slice(0, random.below(3));
  if (permitted.length + excluded.length === 0) return { permitted: [{ dNSName: "localhost" }] };
  return {
    ...(permitted.length === 0 ? {} : { permitted: [...permitted, { dNSName: "localhost" }] }),
    ...(excluded.length === 0 ? {} : { excluded }),
  };
}

/** Names of every form, sound and not. */
export const SAN_NAMES: readonly GeneralNameParts[] = [
  { dNSName: "db.example.com" },
  { dNSName: "*.example.com" },
  { dNSName: "*.com" },
  { dNSName: "*" },
  { dNSName: "a*.example.com" },
  { dNSName: "EXAMPLE.com." },
  { dNSName: "under_score.example.com" },
  { dNSName: "" },
  { dNSName: "white space" },
  { dNSName: "10.0.0.1" },
  { rfc822Name: "root@example.com" },
  { uniformResourceIdentifier: "spiffe://example.com/db" },
  { iPAddress: "10.0.0.1" },
  { iPAddress: "2001:db8::1" },
  { registeredID: "1.2.3.4" },
  { directoryName: encodeName("inside") },
];
/** Bases of every form, sound and not. */
export const CONSTRAINT_BASES: readonly ConstraintBase[] = [
  { dNSName: "localhost" },
  { dNSName: "example.com" },
  { dNSName: ".example.com" },
  { dNSName: "db.example.com" },
  { dNSName: ".db.example.com" },
  { dNSName: "com" },
  { dNSName: "" },
  { dNSName: "." },
  { dNSName: "*.example.com" },
  { rfc822Name: "example.com" },
  { uniformResourceIdentifier: "example.com" },
  { directoryName: encodeName("leaf") },
  { ip: [10, 0, 0, 0, 255, 0, 0, 0] },
  { ip: [10, 0, 0, 0, 255, 0, 255, 0] },
  { ip: [0, 0, 0, 0, 0, 0, 0, 0] },
  { ip: new Array(32).fill(0) },
];
const DISTRIBUTION_POINT = Buffer.from("300f300da00ba009860768747470" + "3a2f2f", "hex");
/** Policies, policy constraints, authority information access, TLS feature, something private, one just outside id-ce. */
const ODD_OIDS = [
  "2.5.29.32",
  "2.5.29.36",
  "1.3.6.1.5.5.7.1.1",
  "1.3.6.1.5.5.7.1.24",
  "1.3.6.1.4.1.99999.1",
  "2.5.29.99",
];
const ALGORITHMS_OF: Readonly<Record<KeyKind, readonly AlgorithmName[]>> = {
  "P-256": ["ecdsa-sha1", "ecdsa-sha256", "ecdsa-sha384", "ecdsa-sha512", "ecdsa-sha256-null"],
  "P-384": ["ecdsa-sha256", "ecdsa-sha384", "ecdsa-sha512"],
  "P-521": ["ecdsa-sha384", "ecdsa-sha512"],
  "secp256k1": ["ecdsa-sha256"],
  "ed25519": ["ed25519"],
  "rsa1024": ["rsa-sha256"],
  "rsa2048": [
    "rsa-md5",
    "rsa-sha1",
    "rsa-sha256",
    "rsa-sha384",
    "rsa-sha512",
    "rsa-sha256-absent",
    "pss-sha256",
    "pss-sha384",
    "pss-sha512",
    "pss-sha256-salt20",
    "pss-sha256-mgf384",
    "pss-sha1",
  ],
  "rsa3072": ["rsa-sha256", "pss-sha512"],
};
