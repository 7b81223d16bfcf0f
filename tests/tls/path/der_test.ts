import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";

import { children, encodeTree, parseTree, tlv } from "../../support/der_tree.ts";
import { makeLeaf, makeRoot } from "../../support/chain_builder.ts";
import { PeerRejectedError } from "../../../src/errors.ts";
import { checkCanonical } from "../../../src/tls/path/canonical.ts";
import { parseCertificate } from "../../../src/tls/path/certificate.ts";
import { parseRevocationList } from "../../../src/tls/path/crl.ts";
import { DerError, DerReader } from "../../../src/tls/path/der.ts";
import { decodeNamedBits, decodeOid } from "../../../src/tls/path/der_values.ts";
import { attributeTexts, COMMON_NAME, readDistinguishedName } from "../../../src/tls/path/names.ts";

Deno.test("DerReader reads back what was written, at every size around the steps of the length", () => {
  for (const size of [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x10000]) {
    const reader = new DerReader(tlv(0x04, new Uint8Array(size)));
    assert.equal(reader.readAny("it").content.length, size);
    assert.ok(reader.isDone);
  }
});

Deno.test("DerReader refuses lengths that are not minimal, indefinite, too long or longer than the bytes", () => {
  for (
    const hex of [
      "04",
      "0480",
      "048100",
      "04817f",
      "0482007f",
      "048200ff",
      "04850000000001",
      "0401",
      "1f0100",
      "3f0100",
    ]
  ) {
    assert.throws(() => new DerReader(Buffer.from(hex, "hex")).readAny("it"), DerError, hex);
  }
});

Deno.test("parseCertificate and parseRevocationList throw nothing but their own errors, whatever the bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    assert.throws(() => parseCertificate(bytes, "it"), PeerRejectedError);
    assert.throws(() => parseRevocationList(bytes), DerError);
  }));
});

Deno.test("parseCertificate throws nothing but its own errors when any element is replaced by noise", () => {
  const leaf = makeLeaf(makeRoot("Root"));
  fc.assert(
    fc.property(
      fc.nat(),
      fc.uint8Array({ maxLength: 40 }),
      fc.integer({ min: 0, max: 255 }),
      (at, noise, tag) => {
        const tree = parseTree(leaf.der);
        const fields = children(children(tree)[0]!);
        fields[at % fields.length] = { tag, content: noise };
        try {
          parseCertificate(encodeTree(tree), "it");
        } catch (error) {
          assert.ok(error instanceof PeerRejectedError, String(error));
        }
      },
    ),
  );
});

Deno.test("checkCanonical refuses what is nested without end", () => {
  let der = tlv(0x05);
  for (let depth = 0; depth < 30; depth++) der = tlv(0x30, der);
  assert.throws(() => checkCanonical(new DerReader(der).readAny("it"), "it"), /nested too deeply/);
});

Deno.test("decodeNamedBits is the inverse of the one minimal encoding of every set of nine bits", () => {
  for (let mask = 1; mask < 512; mask++) {
    const bits = [0, 1, 2, 3, 4, 5, 6, 7, 8].filter((bit) => (mask >> bit) & 1);
    const last = bits[bits.length - 1]!;
    const octets = new Uint8Array((last >> 3) + 2);
    octets[0] = 7 - (last & 7);
    for (const bit of bits) octets[1 + (bit >> 3)]! |= 0x80 >> (bit & 7);
    assert.deepEqual([...decodeNamedBits(octets, "it")], bits);
  }
});

Deno.test("decodeOid refuses what is longer than any identifier, before shifting through it", () => {
  assert.equal(decodeOid(new Uint8Array(128).fill(1), "it").split(".").length, 129);
  assert.throws(() => decodeOid(new Uint8Array(129).fill(1), "it"), /it is longer than 128 octets/);
});

Deno.test("readDistinguishedName keeps a byte-order mark in a BMPString, and makes no text of half a character", () => {
  const textOf = (hex: string) => {
    const value = tlv(0x1e, Buffer.from(hex, "hex"));
    const name = tlv(0x30, tlv(0x31, tlv(0x30, Buffer.concat([Buffer.from("0603550403", "hex"), value]))));
    return attributeTexts(readDistinguishedName(new DerReader(name), "it"), COMMON_NAME);
  };
  assert.deepEqual(textOf("0061"), ["a"]);
  assert.deepEqual(textOf("feff0061"), ["\ufeffa"]);
  assert.deepEqual(textOf("d800"), [null]);
});

Deno.test("decodeOid gives the dotted form and refuses padding and open ends", () => {
  assert.equal(decodeOid(Buffer.from("2a864886f70d01010b", "hex"), "it"), "1.2.840.113549.1.1.11");
  assert.equal(decodeOid(Buffer.from("883703", "hex"), "it"), "2.999.3");
  assert.equal(decodeOid(Buffer.from("00", "hex"), "it"), "0.0");
  for (const hex of ["", "80", "2a80", "2a8001", "802a"]) {
    assert.throws(() => decodeOid(Buffer.from(hex, "hex"), "it"), DerError, hex);
  }
});
