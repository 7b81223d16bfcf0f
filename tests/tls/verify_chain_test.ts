import assert from "node:assert/strict";

import {
  ANY_PURPOSE,
  authorityKeyId,
  basicConstraints,
  CLIENT_AUTH,
  CODE_SIGNING,
  extendedKeyUsage,
  keyUsage,
  KU,
  names,
  rawExtension,
  SERVER_AUTH,
  subjectKeyId,
} from "../support/certificate_extensions.ts";
import {
  type CertificateSpec,
  fromNow,
  type Issued,
  leafExtensions,
  makeIntermediate,
  makeLeaf,
  makeRoot,
  reissue,
  testKey,
} from "../support/chain_builder.ts";
import { tlv } from "../support/der_tree.ts";
import { backendVerdict, clientVerdict, trustIn } from "../support/verdict.ts";

const root = makeRoot("Root");
const other = makeRoot("Other Root");
const rsaRoot = makeRoot("RSA Root", { key: testKey("rsa2048") });
const mid = makeIntermediate(root, "Mid");

interface Case {
  readonly name: string;
  readonly chain: readonly Issued[];
  readonly trusted?: readonly Issued[];
  readonly verdict: string;
}

/** A leaf with these extensions in front of the usual ones. */
function leafWith(issuer: Issued, ...extensions: NonNullable<CertificateSpec["extensions"]>): Issued {
  const replaced = new Set(extensions.map((extension) => extension.oid));
  const usual = leafExtensions().filter((extension) => !replaced.has(extension.oid));
  return makeLeaf(issuer, { extensions: [...extensions, ...usual] });
}

/** A CA with these extensions and no others. */
function caWith(issuer: Issued, ...extensions: NonNullable<CertificateSpec["extensions"]>): Issued {
  return makeIntermediate(issuer, "Bent CA", { extensions });
}

/** A chain of `count` CAs below the root, the leaf first. */
function longChain(count: number): Issued[] {
  const path = [root];
  for (let index = 1; index <= count; index++) path.unshift(makeIntermediate(path[0]!, `CA ${index}`));
  return [makeLeaf(path[0]!), ...path.slice(0, -1)];
}

function below(authority: Issued): Issued[] {
  return [makeLeaf(authority), authority];
}

const bad = makeIntermediate(root, "Expired Mid", { notAfter: fromNow(-60) });
const sameName = makeIntermediate(root, "Mid");
const sameNameRoot = makeRoot("Root");
const looped = testKey("P-256", "looped");
const loopA = makeRoot("Loop A", { key: looped });
const loopB = makeIntermediate(loopA, "Loop B");
const loopBack = makeIntermediate(loopB, "Loop A", { key: looped });
const crossKey = testKey("P-256", "cross");
const crossByOther = makeIntermediate(other, "Cross", { key: crossKey });
const crossByRoot = makeIntermediate(root, "Cross", { key: crossKey });
const crossLeaf = makeLeaf(crossByRoot);
const pathZero = caWith(root, basicConstraints(true, 0), keyUsage(KU.keyCertSign));
const critical = rawExtension("1.3.6.1.4.1.99999.1", tlv(0x05), true);
const shortRoot = makeRoot("Short", { extensions: [basicConstraints(true, 0)] });
const selfIssued = makeIntermediate(pathZero, "Bent CA", { key: testKey("P-256", "rollover") });

const CASES: readonly Case[] = [
  { name: "leaf of a root", chain: [makeLeaf(root)], verdict: "accepted" },
  { name: "leaf, intermediate, root", chain: below(mid), verdict: "accepted" },
  { name: "root presented too", chain: [...below(mid), root], verdict: "accepted" },
  { name: "intermediate trusted by itself", chain: [makeLeaf(mid)], trusted: [mid], verdict: "accepted" },
  { name: "six intermediates in the wrong order", chain: shuffled(longChain(6)), verdict: "accepted" },
  { name: "seven intermediates", chain: longChain(7), verdict: "too_complex" },
  {
    name: "seventeen certificates",
    chain: [...below(mid), ...new Array(15).fill(other)],
    verdict: "too_complex",
  },
  { name: "expired leaf", chain: [makeLeaf(root, { notAfter: fromNow(-2) })], verdict: "expired" },
  {
    name: "leaf of tomorrow",
    chain: [makeLeaf(root, { notBefore: fromNow(600) })],
    verdict: "not_yet_valid",
  },
  { name: "expired intermediate", chain: below(bad), verdict: "expired" },
  {
    name: "expired root",
    chain: below(makeRoot("Old", { notAfter: fromNow(-60) })),
    trusted: [],
    verdict: "expired",
  },
  { name: "missing intermediate", chain: [makeLeaf(mid)], verdict: "unknown_issuer" },
  { name: "another root", chain: below(mid), trusted: [other], verdict: "unknown_issuer" },
  { name: "wrong issuer name", chain: [makeLeaf(root, { issuerName: "Nobody" })], verdict: "unknown_issuer" },
  {
    name: "signature of a stranger",
    chain: [makeLeaf(root, { signWith: other.key })],
    verdict: "bad_signature",
  },
  {
    name: "intermediate signed by a stranger",
    chain: below(makeIntermediate(root, "Forged", { signWith: other.key })),
    verdict: "bad_signature",
  },
  {
    name: "root of the same name and another key",
    chain: [makeLeaf(root)],
    trusted: [sameNameRoot],
    verdict: "bad_signature",
  },
  {
    name: "two roots of one name",
    chain: [makeLeaf(root)],
    trusted: [sameNameRoot, root],
    verdict: "accepted",
  },
  { name: "two intermediates of one name", chain: [makeLeaf(mid), sameName, mid], verdict: "accepted" },
  {
    name: "two intermediates of one name, the other way",
    chain: [makeLeaf(mid), mid, sameName],
    verdict: "accepted",
  },
  {
    name: "cross-signed, wrong one first",
    chain: [crossLeaf, crossByOther, crossByRoot],
    verdict: "accepted",
  },
  {
    name: "cross-signed, for the other root",
    chain: [crossLeaf, crossByOther, crossByRoot],
    trusted: [other],
    verdict: "accepted",
  },
  { name: "loop without a way out", chain: [makeLeaf(loopB), loopB, loopBack], verdict: "unknown_issuer" },
  {
    name: "loop with a way out",
    chain: [makeLeaf(loopB), loopB, loopBack],
    trusted: [loopA],
    verdict: "accepted",
  },
  {
    name: "authorityKeyIdentifier that points elsewhere",
    chain: [
      leafWith(mid, authorityKeyId([9, 9])),
      makeIntermediate(root, "Mid", { extensions: [basicConstraints(true), subjectKeyId([9, 9])] }),
      mid,
    ],
    verdict: "accepted",
  },
  { name: "CA as leaf", chain: [mid], verdict: "ca_as_leaf" },
  {
    name: "intermediate without basicConstraints",
    chain: below(caWith(root, keyUsage(KU.keyCertSign))),
    verdict: "not_a_ca",
  },
  {
    name: "intermediate with CA:FALSE",
    chain: below(caWith(root, basicConstraints(false))),
    verdict: "not_a_ca",
  },
  {
    name: "leaf that signs another leaf",
    chain: below(makeLeaf(root, { subject: "Proud" })),
    verdict: "not_a_ca",
  },
  {
    name: "basicConstraints that is not critical",
    chain: below(caWith(root, { ...basicConstraints(true), critical: false })),
    verdict: "accepted",
  },
  { name: "pathLen 0 and no CA below", chain: below(pathZero), verdict: "accepted" },
  {
    name: "pathLen 0 and a CA below",
    chain: [...below(makeIntermediate(pathZero, "Deep")), pathZero],
    verdict: "path_length_exceeded",
  },
  {
    name: "pathLen 0 and a self-issued CA below",
    chain: [...below(selfIssued), pathZero],
    verdict: "path_length_exceeded",
  },
  {
    name: "pathLen of the root",
    chain: below(makeIntermediate(shortRoot, "Deep")),
    trusted: [shortRoot],
    verdict: "path_length_exceeded",
  },
  {
    name: "intermediate without keyUsage",
    chain: below(caWith(root, basicConstraints(true))),
    verdict: "accepted",
  },
  {
    name: "intermediate without keyCertSign",
    chain: below(caWith(root, basicConstraints(true), keyUsage(KU.cRLSign))),
    verdict: "key_usage",
  },
  {
    name: "leaf without keyUsage",
    chain: [makeLeaf(root, { extensions: [names({ dNSName: "localhost" })] })],
    verdict: "accepted",
  },
  {
    name: "leaf without digitalSignature",
    chain: [leafWith(root, keyUsage(KU.keyEncipherment))],
    verdict: "key_usage",
  },
  {
    name: "leaf for clients",
    chain: [leafWith(root, extendedKeyUsage(CLIENT_AUTH))],
    verdict: "extended_key_usage",
  },
  {
    name: "leaf for any purpose",
    chain: [leafWith(root, extendedKeyUsage(ANY_PURPOSE))],
    verdict: "extended_key_usage",
  },
  {
    name: "leaf for both",
    chain: [leafWith(root, extendedKeyUsage(CLIENT_AUTH, SERVER_AUTH))],
    verdict: "accepted",
  },
  {
    name: "intermediate for code",
    chain: below(caWith(root, basicConstraints(true), extendedKeyUsage(CODE_SIGNING))),
    verdict: "extended_key_usage",
  },
  {
    name: "root for clients",
    chain: below(makeRoot("CA", { extensions: [basicConstraints(true), extendedKeyUsage(CLIENT_AUTH)] })),
    trusted: [],
    verdict: "extended_key_usage",
  },
  {
    name: "root without keyCertSign",
    chain: below(makeRoot("CA", { extensions: [basicConstraints(true), keyUsage(KU.cRLSign)] })),
    trusted: [],
    verdict: "key_usage",
  },
  {
    name: "root without basicConstraints",
    chain: below(makeRoot("CA", { extensions: [] })),
    trusted: [],
    verdict: "not_a_ca",
  },
  {
    name: "root of version 1",
    chain: below(makeRoot("CA", { version: 1 })),
    trusted: [],
    verdict: "accepted",
  },
  {
    name: "unknown critical extension in the leaf",
    chain: [leafWith(root, critical)],
    verdict: "unknown_critical_extension",
  },
  {
    name: "unknown critical extension in an intermediate",
    chain: below(caWith(root, basicConstraints(true), critical)),
    verdict: "unknown_critical_extension",
  },
  {
    name: "unknown critical extension in the root",
    chain: below(makeRoot("CA", { extensions: [basicConstraints(true), critical] })),
    trusted: [],
    verdict: "unknown_critical_extension",
  },
  {
    name: "unknown extension that is not critical",
    chain: [leafWith(root, { ...critical, critical: false })],
    verdict: "accepted",
  },
  { name: "leaf of version 1", chain: [makeLeaf(root, { version: 1 })], verdict: "unsupported_version" },
  { name: "leaf of version 2", chain: [makeLeaf(root, { version: 2 })], verdict: "unsupported_version" },
  {
    name: "intermediate of version 1",
    chain: below(makeIntermediate(root, "Old", { version: 1 })),
    verdict: "unknown_issuer",
  },
  {
    name: "MD5",
    chain: [makeLeaf(rsaRoot, { algorithm: "rsa-md5" })],
    trusted: [rsaRoot],
    verdict: "weak_signature_algorithm",
  },
  {
    name: "SHA-1",
    chain: [makeLeaf(rsaRoot, { algorithm: "rsa-sha1" })],
    trusted: [rsaRoot],
    verdict: "weak_signature_algorithm",
  },
  {
    name: "ECDSA with SHA-1",
    chain: [makeLeaf(root, { algorithm: "ecdsa-sha1" })],
    verdict: "weak_signature_algorithm",
  },
  {
    name: "SHA-1 in an intermediate",
    chain: below(makeIntermediate(rsaRoot, "M", { algorithm: "rsa-sha1" })),
    trusted: [rsaRoot],
    verdict: "weak_signature_algorithm",
  },
  {
    name: "root that signed itself with SHA-1",
    chain: below(reissue(rsaRoot, { algorithm: "rsa-sha1" })),
    trusted: [],
    verdict: "accepted",
  },
  {
    name: "RSA-PSS",
    chain: [makeLeaf(rsaRoot, { algorithm: "pss-sha384" })],
    trusted: [rsaRoot],
    verdict: "accepted",
  },
  {
    name: "RSA-PSS with another salt",
    chain: [makeLeaf(rsaRoot, { algorithm: "pss-sha256-salt20" })],
    trusted: [rsaRoot],
    verdict: "unsupported_algorithm",
  },
  {
    name: "RSA-PSS with another digest in MGF1",
    chain: [makeLeaf(rsaRoot, { algorithm: "pss-sha256-mgf384" })],
    trusted: [rsaRoot],
    verdict: "unsupported_algorithm",
  },
  {
    name: "ECDSA with parameters",
    chain: [makeLeaf(root, { algorithm: "ecdsa-sha256-null" })],
    verdict: "unsupported_algorithm",
  },
  { name: "RSA 1024 leaf", chain: [makeLeaf(root, { key: testKey("rsa1024") })], verdict: "weak_key" },
  {
    name: "RSA 1024 root",
    chain: below(makeRoot("Small", { key: testKey("rsa1024") })),
    trusted: [],
    verdict: "weak_key",
  },
  {
    name: "secp256k1 leaf",
    chain: [makeLeaf(root, { key: testKey("secp256k1") })],
    verdict: "unsupported_algorithm",
  },
  ...(["P-384", "P-521", "ed25519", "rsa2048"] as const).map((kind): Case => {
    const authority = makeRoot(kind, { key: testKey(kind) });
    return {
      name: `${kind} throughout`,
      chain: [makeLeaf(authority, { key: testKey(kind) })],
      trusted: [authority],
      verdict: "accepted",
    };
  }),
];

/** Leaf first, the rest from root to leaf. */
function shuffled(chain: readonly Issued[]): Issued[] {
  return [chain[0]!, ...chain.slice(1).reverse()];
}

for (const { name, chain, trusted, verdict } of CASES) {
  Deno.test(`verifyBackend says ${verdict} to ${name}`, () => {
    // An empty list means the last of the chain, which then is the root.
    const anchors = trusted === undefined
      ? [root]
      : trusted.length === 0
      ? [chain[chain.length - 1]!]
      : trusted;
    assert.equal(backendVerdict(chain, trustIn(...anchors)), verdict);
  });
}

Deno.test("verifyClient asks for clientAuth where verifyBackend asks for serverAuth", () => {
  const both = leafWith(root, extendedKeyUsage(CLIENT_AUTH, SERVER_AUTH));
  const client = leafWith(root, extendedKeyUsage(CLIENT_AUTH));
  const server = leafWith(root, extendedKeyUsage(SERVER_AUTH));
  const trust = trustIn(root);
  assert.deepEqual([both, client, server].map((leaf) => clientVerdict([leaf], trust)), [
    "accepted",
    "accepted",
    "extended_key_usage",
  ]);
  assert.deepEqual([both, client, server].map((leaf) => backendVerdict([leaf], trust)), [
    "accepted",
    "extended_key_usage",
    "accepted",
  ]);
});

Deno.test("verifyBackend accepts a listed leaf only byte for byte, in date and fit for the purpose", () => {
  const extensions = [basicConstraints(true), names({ dNSName: "localhost" })];
  const selfSigned = makeRoot("localhost", { extensions });
  const twin = reissue(selfSigned, {});
  assert.equal(backendVerdict([selfSigned], trustIn(selfSigned)), "accepted");
  assert.equal(backendVerdict([selfSigned], trustIn(root)), "ca_as_leaf");
  assert.equal(backendVerdict([twin], trustIn(selfSigned)), "ca_as_leaf");
  const late = selfSigned.spec.key!;
  const expired = makeRoot("localhost", { key: late, extensions, notAfter: fromNow(-60) });
  assert.equal(backendVerdict([expired], trustIn(expired)), "expired");
  const forClients = makeRoot("localhost", { extensions: [...extensions, extendedKeyUsage(CLIENT_AUTH)] });
  assert.equal(backendVerdict([forClients], trustIn(forClients)), "extended_key_usage");
  assert.equal(clientVerdict([forClients], trustIn(forClients)), "accepted");
  const mute = makeRoot("localhost", { extensions: [...extensions, keyUsage(KU.keyCertSign)] });
  assert.equal(backendVerdict([mute], trustIn(mute)), "key_usage");
  const versionOne = makeRoot("localhost", { version: 1 });
  assert.equal(backendVerdict([versionOne], trustIn(versionOne)), "unsupported_version");
});

Deno.test("verifyBackend trusts a listed certificate that is no CA as itself only", () => {
  const pinned = makeLeaf(root);
  const issued = makeLeaf(pinned, { subject: "below" });
  assert.equal(backendVerdict([pinned], trustIn(pinned)), "accepted");
  assert.equal(backendVerdict([issued, pinned], trustIn(pinned)), "not_a_ca");
  assert.equal(backendVerdict([makeLeaf(root)], trustIn(pinned)), "unknown_issuer");
});

Deno.test("verifyBackend says too_complex, and soon, when the presented names allow too many paths", () => {
  const knot = Array.from({ length: 15 }, () => makeIntermediate(makeRoot("Knot"), "Knot"));
  assert.equal(backendVerdict([makeLeaf(knot[0]!), ...knot], trustIn(root)), "too_complex");
});

Deno.test("verifyBackend says too_complex when too many signatures would have to be checked", () => {
  const namesakes = Array.from({ length: 40 }, () => makeRoot("Root"));
  assert.equal(backendVerdict([makeLeaf(root)], trustIn(...namesakes)), "too_complex");
});
