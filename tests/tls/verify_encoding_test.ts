import assert from "node:assert/strict";
import { Buffer } from "node:buffer";

import { basicConstraints, keyUsage, KU, names, rawExtension } from "../support/certificate_extensions.ts";
import {
  type CertificateSpec,
  type Issued,
  leafExtensions,
  makeLeaf,
  makeRoot,
} from "../support/chain_builder.ts";
import {
  children,
  concat,
  type DerNode,
  encodeTree,
  findExtension,
  parseTree,
  tlv,
  walk,
} from "../support/der_tree.ts";
import { backendVerdict, trustIn } from "../support/verdict.ts";

const root = makeRoot("Root");
const trust = trustIn(root);

/** Bends of the TBSCertificate, signed afterwards: the signature is right, the encoding is not. */
const STRUCTURE: readonly (readonly [string, (tbs: DerNode) => void])[] = [
  ["a long-form length", (tbs) => tbs.length = "long"],
  ["an indefinite length", (tbs) => tbs.length = "indefinite"],
  ["a long-form length deep inside", (tbs) => children(children(tbs)[4]!)[0]!.length = "long"],
  ["an indefinite length in the subject", (tbs) => children(tbs)[5]!.length = "indefinite"],
  ["a trailing element", (tbs) => void children(tbs).push({ tag: 0x05, content: new Uint8Array() })],
  [
    "an issuerUniqueID",
    (tbs) => void children(tbs).splice(7, 0, { tag: 0x81, content: Uint8Array.of(0, 1) }),
  ],
  ["extensions twice", (tbs) => void children(tbs).push(children(tbs)[7]!)],
  ["a serial number that is padded", (tbs) => pad(children(tbs)[1]!)],
  ["no serial number", (tbs) => void (children(tbs)[1]!.content = new Uint8Array())],
  ["version 4", (tbs) => void (children(children(tbs)[0]!)[0]!.content = Uint8Array.of(3))],
  ["version 1 spelled out", (tbs) => void (children(children(tbs)[0]!)[0]!.content = Uint8Array.of(0))],
  ["a high tag number", (tbs) => void children(tbs).push({ tag: 0x9f, content: Uint8Array.of(1) })],
  [
    "another inner algorithm",
    (tbs) => void (children(children(tbs)[2]!)[0]!.content = hex("2a8648ce3d040303")),
  ],
  ["TRUE as 01", (tbs) => void (firstOf(tbs, 0x01).content = Uint8Array.of(1))],
  ["criticality FALSE spelled out", (tbs) => void children(plainExtension(tbs)).splice(1, 0, boolean(0))],
  ["an extension with a fourth element", (tbs) => void children(plainExtension(tbs)).push(boolean(0xff))],
  ["UTCTime without seconds", (tbs) => setTime(tbs, 0x17, "2601010000Z")],
  ["UTCTime with an offset", (tbs) => setTime(tbs, 0x17, "260101000000+0000")],
  ["UTCTime of 30 February", (tbs) => setTime(tbs, 0x17, "260230000000Z")],
  ["UTCTime of second 60", (tbs) => setTime(tbs, 0x17, "251231235960Z")],
  ["GeneralizedTime before 2050", (tbs) => setTime(tbs, 0x18, "20260101000000Z")],
  ["GeneralizedTime with a fraction", (tbs) => setTime(tbs, 0x18, "20260101000000.5Z")],
  ["a year before 1970", (tbs) => setTime(tbs, 0x17, "690101000000Z")],
  ["a time that is text", (tbs) => setTime(tbs, 0x0c, "260101000000Z")],
  ["a third time", (tbs) => void children(children(tbs)[4]!).push(children(children(tbs)[4]!)[0]!)],
  ["dates the wrong way round", (tbs) => void children(children(tbs)[4]!).reverse()],
  ["a subject attribute with a third element", (tbs) => void children(attribute(tbs)).push(boolean(0xff))],
  [
    "a subject that is not UTF-8",
    (tbs) => void (children(attribute(tbs))[1]!.content = Uint8Array.of(0xc0, 0x80)),
  ],
  ["a subject with an empty set", (tbs) => void (children(children(tbs)[5]!)[0]!.content = [])],
  ["a constructed string", (tbs) => void (children(attribute(tbs))[1] = { tag: 0x2c, content: [] })],
  ["a set out of order", (tbs) => outOfOrder(tbs)],
  ["an identifier that is padded", (tbs) => void (children(attribute(tbs))[0]!.content = hex("80550403"))],
  ["a public key with a trailing element", (tbs) => void children(children(tbs)[6]!).push(boolean(0xff))],
  ["a public key with unused bits", (tbs) => unusedBits(children(children(tbs)[6]!)[1]!)],
  ["a compressed point", (tbs) => compress(children(children(tbs)[6]!)[1]!)],
  ["a point off the curve", (tbs) => offCurve(children(children(tbs)[6]!)[1]!)],
];

for (const [name, edit] of STRUCTURE) {
  Deno.test(`verifyBackend refuses a leaf with ${name} although it is signed`, () => {
    assert.equal(backendVerdict([makeLeaf(root, { edit })], trust), "malformed_certificate");
  });
}

/** Values of extensions that do not parse to their end. */
const VALUES: readonly (readonly [string, string, Uint8Array])[] = [
  ["basicConstraints with trailing bytes", "2.5.29.19", concat(tlv(0x30), [0x05, 0x00])],
  ["basicConstraints with CA FALSE spelled out", "2.5.29.19", tlv(0x30, [0x01, 0x01, 0x00])],
  ["basicConstraints with a negative pathLen", "2.5.29.19", tlv(0x30, [0x02, 0x01, 0xff])],
  ["basicConstraints with a huge pathLen", "2.5.29.19", tlv(0x30, [0x02, 0x02, 0x01, 0x00])],
  ["basicConstraints with a third element", "2.5.29.19", tlv(0x30, [0x02, 0x01, 0x00, 0x05, 0x00])],
  ["keyUsage with trailing zero bits", "2.5.29.15", Uint8Array.of(0x03, 0x02, 0x00, 0x80)],
  ["keyUsage with a whole zero octet", "2.5.29.15", Uint8Array.of(0x03, 0x03, 0x07, 0x80, 0x00)],
  ["keyUsage with unused bits set", "2.5.29.15", Uint8Array.of(0x03, 0x02, 0x07, 0xc0)],
  ["keyUsage without bits", "2.5.29.15", Uint8Array.of(0x03, 0x01, 0x00)],
  ["keyUsage with eight unused bits", "2.5.29.15", Uint8Array.of(0x03, 0x02, 0x08, 0x80)],
  ["extendedKeyUsage that is empty", "2.5.29.37", tlv(0x30)],
  [
    "extendedKeyUsage with something else behind",
    "2.5.29.37",
    tlv(0x30, hex("06082b06010505070301"), [0x05, 0x00]),
  ],
  ["subjectAltName that is empty", "2.5.29.17", tlv(0x30)],
  [
    "subjectAltName with trailing bytes",
    "2.5.29.17",
    concat(tlv(0x30, tlv(0x82, Buffer.from("localhost"))), [0]),
  ],
  [
    "subjectAltName with an unknown kind",
    "2.5.29.17",
    tlv(0x30, tlv(0x82, Buffer.from("localhost")), tlv(0x89, [1])),
  ],
  [
    "subjectAltName with a constructed host",
    "2.5.29.17",
    tlv(0x30, tlv(0xa2, tlv(0x16, Buffer.from("localhost")))),
  ],
  ["subjectAltName with an address of five octets", "2.5.29.17", tlv(0x30, tlv(0x87, [10, 0, 0, 0, 1]))],
  ["subjectAltName that is not ASCII", "2.5.29.17", tlv(0x30, tlv(0x82, [0xe4]))],
  ["nameConstraints that are empty", "2.5.29.30", tlv(0x30)],
  [
    "nameConstraints with a minimum",
    "2.5.29.30",
    tlv(0x30, tlv(0xa0, tlv(0x30, tlv(0x82), [0x80, 0x01, 0x00]))),
  ],
  [
    "nameConstraints with a mask full of holes",
    "2.5.29.30",
    tlv(0x30, tlv(0xa0, tlv(0x30, tlv(0x87, [10, 0, 0, 0, 255, 0, 255, 0])))),
  ],
  [
    "nameConstraints the wrong way round",
    "2.5.29.30",
    tlv(0x30, tlv(0xa1, tlv(0x30, tlv(0x82))), tlv(0xa0, tlv(0x30, tlv(0x82)))),
  ],
  ["authorityKeyIdentifier with trailing bytes", "2.5.29.35", concat(tlv(0x30, tlv(0x80, [1])), [0])],
  ["subjectKeyIdentifier that is a sequence", "2.5.29.14", tlv(0x30)],
  ["cRLDistributionPoints that are empty", "2.5.29.31", tlv(0x30)],
  ["cRLDistributionPoints of reasons only", "2.5.29.31", tlv(0x30, tlv(0x30, tlv(0x81, [0x01, 0x02])))],
];

for (const [name, oid, value] of VALUES) {
  Deno.test(`verifyBackend refuses a leaf with ${name}`, () => {
    const extensions = [
      ...leafExtensions().filter((extension) => extension.oid !== oid),
      rawExtension(oid, value),
    ];
    assert.equal(backendVerdict([makeLeaf(root, { extensions })], trust), "malformed_certificate");
  });
}

Deno.test("verifyBackend refuses an extension that is there twice, known or not", () => {
  for (const twice of [names({ dNSName: "localhost" }), rawExtension("1.2.3.4", tlv(0x05))]) {
    const extensions = [...leafExtensions().filter(({ oid }) => oid !== twice.oid), twice, twice];
    assert.equal(backendVerdict([makeLeaf(root, { extensions })], trust), "malformed_certificate");
  }
});

Deno.test("verifyBackend refuses what is bent after signing, outside the signed part", () => {
  const bends: readonly (readonly [NonNullable<CertificateSpec["editSigned"]>, string])[] = [
    [(certificate) => void (certificate.length = "long"), "malformed_certificate"],
    [(certificate) => void (certificate.length = "indefinite"), "malformed_certificate"],
    [(certificate) => void children(certificate).push(boolean(0xff)), "malformed_certificate"],
    [(certificate) => unusedBits(children(certificate)[2]!), "malformed_certificate"],
    [
      (certificate) => void (children(certificate)[1] = parseTree(hex("300c06082a8648ce3d0403020500"))),
      "malformed_certificate",
    ],
    [(certificate) => longFormSignature(children(certificate)[2]!), "bad_signature"],
  ];
  for (const [editSigned, verdict] of bends) {
    assert.equal(backendVerdict([makeLeaf(root, { editSigned })], trust), verdict);
  }
});

Deno.test("verifyBackend refuses trailing bytes, cut bytes, nothing and 64 KB", () => {
  const leaf = makeLeaf(root);
  const huge = makeLeaf(root, {
    extensions: [...leafExtensions(), rawExtension("1.2.3.4", new Uint8Array(65_400))],
  });
  for (const der of [concat(leaf.der, [0]), leaf.der.slice(0, -1), new Uint8Array(), huge.der]) {
    assert.equal(backendVerdict([{ ...leaf, der }], trust), "malformed_certificate");
  }
});

Deno.test("verifyBackend ignores a presented issuer that is not strict DER", () => {
  const edit = (tbs: DerNode) => void (firstOf(tbs, 0x01).content = Uint8Array.of(1));
  const bent = makeRoot("Bent", {
    issuer: root,
    edit,
    extensions: [basicConstraints(true), keyUsage(KU.keyCertSign)],
  });
  assert.equal(backendVerdict([makeLeaf(bent), bent], trust), "unknown_issuer");
});

Deno.test("verifyBackend never accepts a leaf of which any one byte was changed, and never throws anything else", () => {
  const leaf = makeLeaf(root);
  for (let index = 0; index < leaf.der.length; index++) {
    const der = Uint8Array.from(leaf.der);
    der[index]! ^= 1 << (index % 8);
    assert.notEqual(backendVerdict([{ ...leaf, der } as Issued], trust), "accepted", `byte ${index}`);
  }
});

Deno.test("verifyBackend never accepts a leaf cut anywhere", () => {
  const leaf = makeLeaf(root);
  for (let length = 0; length < leaf.der.length; length++) {
    assert.notEqual(backendVerdict([{ ...leaf, der: leaf.der.slice(0, length) }], trust), "accepted");
  }
});

function firstOf(tree: DerNode, tag: number): DerNode {
  for (const node of walk(tree)) if (node.tag === tag) return node;
  throw new Error(`no element with tag ${tag}`);
}

function plainExtension(tbs: DerNode): DerNode {
  return findExtension(tbs, "551d11");
}

function attribute(tbs: DerNode): DerNode {
  return children(children(children(tbs)[5]!)[0]!)[0]!;
}

function pad(node: DerNode): void {
  node.content = concat([0], node.content as Uint8Array);
}

function boolean(octet: number): DerNode {
  return { tag: 0x01, content: Uint8Array.of(octet) };
}

function setTime(tbs: DerNode, tag: number, text: string): void {
  children(children(tbs)[4]!)[0] = { tag, content: Uint8Array.from(Buffer.from(text)) };
}

function outOfOrder(tbs: DerNode): void {
  const set = children(children(tbs)[5]!)[0]!;
  const later = parseTree(tlv(0x30, hex("0603550403"), tlv(0x0c, Buffer.from("aaaaaaaaaa"))));
  set.content = [later, ...children(set)];
  assert.ok(encodeTree(later).length > encodeTree(children(set)[1]!).length);
}

function unusedBits(node: DerNode): void {
  const bytes = Uint8Array.from(node.content as Uint8Array);
  bytes[0] = 1;
  node.content = bytes;
}

function compress(node: DerNode): void {
  const point = (node.content as Uint8Array).subarray(1);
  node.content = concat([0, 2 + (point[64]! & 1)], point.subarray(1, 33));
}

function offCurve(node: DerNode): void {
  const bytes = Uint8Array.from(node.content as Uint8Array);
  bytes[bytes.length - 1]! ^= 1;
  node.content = bytes;
}

function longFormSignature(node: DerNode): void {
  const signature = parseTree((node.content as Uint8Array).subarray(1));
  signature.length = "long";
  node.content = concat([0], encodeTree(signature));
}

function hex(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(text, "hex"));
}
