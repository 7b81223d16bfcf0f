import assert from "node:assert/strict";

import { basicConstraints, keyUsage, KU, rawExtension } from "../support/certificate_extensions.ts";
import { fromNow, makeIntermediate, makeLeaf, makeRoot, testKey } from "../support/chain_builder.ts";
import { makeCrl } from "../support/crl_builder.ts";
import { children, tlv } from "../support/der_tree.ts";
import { backendVerdict } from "../support/verdict.ts";
import { TrustStore, TrustStoreError } from "../../src/tls/trust_store.ts";

const root = makeRoot("Root");
const mid = makeIntermediate(root, "Mid");
const leaf = makeLeaf(root);
const deep = makeLeaf(mid, { subject: "deep" });
const stranger = testKey("P-256", "CRL stranger");

function store(crlPem: string, bundle = root.pem, now?: number): TrustStore {
  return TrustStore.parse(bundle, now === undefined ? { crlPem } : { crlPem, now });
}

Deno.test("verifyBackend accepts a certificate that is not on the list of its issuer", () => {
  assert.equal(backendVerdict([leaf], store(makeCrl(root))), "accepted");
  assert.equal(backendVerdict([leaf], store(makeCrl(root, { revoked: [deep] }))), "accepted");
});

Deno.test("verifyBackend says revoked to a certificate on the list of its issuer", () => {
  assert.equal(backendVerdict([leaf], store(makeCrl(root, { revoked: [deep, leaf] }))), "revoked");
});

Deno.test("verifyBackend says revoked when any of several lists has the certificate", () => {
  const old = makeCrl(root, { revoked: [leaf], nextUpdate: fromNow(60) });
  assert.equal(backendVerdict([leaf], store(makeCrl(root) + old)), "revoked");
});

Deno.test("verifyBackend wants a list for every certificate of the path", () => {
  assert.equal(backendVerdict([deep, mid], store(makeCrl(root))), "revocation_unknown");
  assert.equal(backendVerdict([deep, mid], store(makeCrl(root) + makeCrl(mid))), "accepted");
  assert.equal(
    backendVerdict([deep, mid], store(makeCrl(root, { revoked: [mid] }) + makeCrl(mid))),
    "revoked",
  );
  assert.equal(
    backendVerdict([deep, mid], store(makeCrl(root) + makeCrl(mid, { revoked: [deep] }))),
    "revoked",
  );
});

Deno.test("verifyBackend takes no list of an intermediate that the intermediate did not sign", () => {
  const forged = makeCrl(mid, { signWith: stranger });
  assert.equal(backendVerdict([deep, mid], store(makeCrl(root) + forged)), "revocation_unknown");
});

Deno.test("verifyBackend says revocation_unknown once the list has run out, cached or not", () => {
  const trust = store(makeCrl(root, { nextUpdate: fromNow(600) }));
  const later = Date.now() + 601_000;
  assert.equal(backendVerdict([leaf], trust), "accepted");
  assert.equal(backendVerdict([leaf], trust, later), "revocation_unknown");
});

Deno.test("verifyBackend says revoked to a listed intermediate that the listed root has revoked", () => {
  const trust = store(makeCrl(root, { revoked: [mid] }) + makeCrl(mid), root.pem + mid.pem);
  assert.equal(backendVerdict([deep], trust), "revoked");
  assert.ok(trust.notes.some((note) => note.includes('"CN=Mid" is revoked')), trust.notes.join("\n"));
});

Deno.test("verifyBackend says revoked to a listed leaf that the listed root has revoked", () => {
  assert.equal(
    backendVerdict([leaf], store(makeCrl(root, { revoked: [leaf] }), root.pem + leaf.pem)),
    "revoked",
  );
});

const DELTA = rawExtension("2.5.29.27", [0x02, 0x01, 0x01], true);
const PARTIAL = rawExtension("2.5.29.28", tlv(0x30, [0x81, 0x01, 0xff]), true);
const NUMBER = rawExtension("2.5.29.20", [0x02, 0x01, 0x07]);
const UNKNOWN = rawExtension("1.3.6.1.4.1.99999.2", [0x05, 0x00], true);
const REASON = rawExtension("2.5.29.21", [0x0a, 0x01, 0x01]);
const INDIRECT = rawExtension("2.5.29.29", tlv(0x30), true);

Deno.test("verifyBackend learns nothing from delta, partial and indirect lists, nor from unknown critical extensions", () => {
  for (const extensions of [[DELTA], [PARTIAL], [NUMBER, UNKNOWN]]) {
    const trust = store(makeCrl(root, { extensions }));
    assert.equal(backendVerdict([leaf], trust), "revocation_unknown");
    assert.equal(trust.notes.length, 1, trust.notes.join("\n"));
  }
  for (const entryExtensions of [[INDIRECT], [UNKNOWN]]) {
    const trust = store(makeCrl(root, { revoked: [deep], entryExtensions }));
    assert.equal(backendVerdict([leaf], trust), "revocation_unknown");
  }
  const usual = store(makeCrl(root, { revoked: [deep], extensions: [NUMBER], entryExtensions: [REASON] }));
  assert.equal(backendVerdict([leaf], usual), "accepted");
});

/** Lists that cannot be used at all: each with a word of the message. */
const UNUSABLE: readonly (readonly [string, () => string, RegExp])[] = [
  ["ran out", () => makeCrl(root, { nextUpdate: fromNow(-60), thisUpdate: fromNow(-600) }), /ran out on/],
  ["is of tomorrow", () => makeCrl(root, { thisUpdate: fromNow(600) }), /is valid from/],
  ["has no nextUpdate", () => makeCrl(root, { nextUpdate: null }), /no nextUpdate/],
  ["is signed by a stranger", () => makeCrl(root, { signWith: stranger }), /did not sign it/],
  ["is of a CA that is not listed", () => makeCrl(makeRoot("Nobody")), /no CA of the CA bundle signed/],
  ["is not PEM", () => "hello", /no "-----BEGIN X509 CRL-----"/],
  ["is empty", () => "", /no "-----BEGIN X509 CRL-----"/],
  ["is a certificate", () => root.pem, /no "-----BEGIN X509 CRL-----"/],
  ["is BER", () => makeCrl(root, { edit: (list) => list.length = "long" }), /strict DER/],
  [
    "has trailing bytes",
    () =>
      makeCrl(root, { edit: (list) => void children(list).push({ tag: 0x05, content: new Uint8Array() }) }),
    /strict DER/,
  ],
  ["uses SHA-1", () => makeCrl(root, { algorithm: "ecdsa-sha1" }), /SHA-1/],
  ["has an extension twice", () => makeCrl(root, { extensions: [NUMBER, NUMBER] }), /twice/],
];

for (const [name, crl, message] of UNUSABLE) {
  Deno.test(`TrustStore.parse refuses a CRL that ${name}`, () => {
    assert.throws(
      () => store(crl()),
      (error) => error instanceof TrustStoreError && message.test(error.message),
    );
  });
}

Deno.test("TrustStore.parse refuses a CRL of a CA whose keyUsage lacks cRLSign", () => {
  const mute = makeRoot("Mute", { extensions: [basicConstraints(true), keyUsage(KU.keyCertSign)] });
  assert.throws(() => store(makeCrl(mute), mute.pem), /cRLSign/);
});

Deno.test("TrustStore.parse notes a CRL of a CA that is not listed beside one that is", () => {
  const { notes } = store(makeCrl(root) + makeCrl(mid));
  assert.equal(notes.length, 1);
  assert.match(notes[0]!, /"CN=Mid", which is not in the CA bundle/);
});

Deno.test("TrustStore.parse notes a list that runs out within a day", () => {
  const { notes } = store(makeCrl(root, { nextUpdate: fromNow(23 * 3600) }));
  assert.match(
    notes.join("\n"),
    /^the CRL of "?CN=Root"? runs out on .*Z \(nextUpdate\): from then on every certificate/,
  );
  assert.deepEqual(store(makeCrl(root, { nextUpdate: fromNow(25 * 3600) })).notes, []);
});
