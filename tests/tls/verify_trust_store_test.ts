import assert from "node:assert/strict";
import { Buffer } from "node:buffer";

import {
  basicConstraints,
  CODE_SIGNING,
  extendedKeyUsage,
  rawExtension,
} from "../support/certificate_extensions.ts";
import {
  fromNow,
  type Issued,
  makeLeaf,
  makeRoot,
  reissue,
  testKey,
  toPem,
} from "../support/chain_builder.ts";
import { children } from "../support/der_tree.ts";
import { backendVerdict, trustIn } from "../support/verdict.ts";
import { TrustStore, TrustStoreError } from "../../src/tls/trust_store.ts";

const root = makeRoot("Root");

Deno.test("TrustStore.parse counts distinct certificates and ignores the text around them", () => {
  const second = makeRoot("Second");
  const store = TrustStore.parse(
    `# our roots\r\n${root.pem.replaceAll("\n", "\r\n")}text\n${second.pem}${root.pem}`,
  );
  assert.equal(store.size, 2);
  assert.deepEqual(store.notes, []);
});

/** Bundles that are an error, with a word of the message. */
const REFUSED: readonly (readonly [string, string, RegExp])[] = [
  ["nothing", "", /no PEM block/],
  ["text", "not a bundle", /no PEM block/],
  ["a key", toPem(new Uint8Array(8), "PRIVATE KEY"), /the first block is "PRIVATE KEY"/],
  [
    "a certificate with trust settings of OpenSSL",
    toPem(root.der, "TRUSTED CERTIFICATE"),
    /"TRUSTED CERTIFICATE"/,
  ],
  ["a certificate without end", root.pem.split("-----END")[0]!, /does not end/],
  ["two certificates run into each other", root.pem.split("-----END")[0]! + root.pem, /does not end/],
  [
    "a block with the end of another",
    root.pem.replace("END CERTIFICATE", "END X509 CRL"),
    /ends as "X509 CRL"/,
  ],
  ["something that is not base64", root.pem.replace(/^M/m, "*"), /not base64/],
  ["base64 that is no certificate", toPem(Buffer.from("hello")), /certificate 1 of the CA bundle/],
  [
    "a good certificate and a bad one",
    root.pem + toPem(root.der.slice(0, -1)),
    /certificate 2 of the CA bundle/,
  ],
  ["a certificate of version 2", makeRoot("Two", { version: 2 }).pem, /version 2/],
];

for (const [name, pem, message] of REFUSED) {
  Deno.test(`TrustStore.parse refuses ${name}`, () => {
    assert.throws(
      () => TrustStore.parse(pem),
      (error) => error instanceof TrustStoreError && message.test(error.message),
    );
  });
}

Deno.test("TrustStore.parse notes what anchors nothing", () => {
  const bundle = [
    root,
    makeRoot("Old", { notAfter: fromNow(-60) }),
    makeRoot("Young", { notBefore: fromNow(60) }),
    makeLeaf(root, { subject: "pinned" }),
    makeRoot("Code", { extensions: [basicConstraints(true), extendedKeyUsage(CODE_SIGNING)] }),
    makeRoot("Odd", { extensions: [basicConstraints(true), rawExtension("1.2.3.4", [5, 0], true)] }),
  ];
  const { size, notes } = TrustStore.parse(bundle.map((certificate) => certificate.pem).join(""));
  assert.equal(size, 6);
  assert.equal(notes.length, 5, notes.join("\n"));
  assert.match(notes[0]!, /^certificate 2 \("CN=Old"\) expired on \S+Z: it anchors nothing$/);
  assert.match(notes[1]!, /^certificate 3 \("CN=Young"\) is valid from/);
  assert.match(
    notes[2]!,
    /^certificate 4 \("CN=pinned"\) is not a CA certificate: it is trusted as itself only$/,
  );
  assert.match(notes[3]!, /^certificate 5 .* anchors nothing: its extendedKeyUsage lacks/);
  assert.match(notes[4]!, /^certificate 6 .* anchors nothing: its critical extension 1\.2\.3\.4/);
});

Deno.test("TrustStore.parse forgives roots two slips of old that it does not forgive peers", () => {
  const edit: NonNullable<Parameters<typeof makeRoot>[1]>["edit"] = (tbs) => {
    children(children(tbs)[4]!)[0] = { tag: 0x18, content: Uint8Array.from(Buffer.from("20200101000000Z")) };
  };
  const extensions = [
    basicConstraints(true),
    rawExtension("2.5.29.15", [0x03, 0x03, 0x07, 0x06, 0x00], true),
  ];
  const old = makeRoot("Old ways", { edit, extensions });
  const trust = TrustStore.parse(old.pem);
  assert.equal(backendVerdict([makeLeaf(old)], trust), "accepted");
  assert.equal(backendVerdict([old], trust), "malformed_certificate");
});

Deno.test("two stores that list a certificate have read it once, and neither trusts what the other alone lists", () => {
  const [first, shared, last] = ["First", "Shared", "Last"].map((name) => makeRoot(name)) as [
    Issued,
    Issued,
    Issued,
  ];
  const [one, two] = [trustIn(first, shared), trustIn(shared, last)];
  assert.equal(one.anchors.certificates[1], two.anchors.certificates[0]);
  const verdicts = (trust: TrustStore) =>
    [first, shared, last].map((ca) => backendVerdict([makeLeaf(ca)], trust));
  assert.deepEqual(verdicts(one), ["accepted", "accepted", "unknown_issuer"]);
  assert.deepEqual(verdicts(two), ["unknown_issuer", "accepted", "accepted"]);
});

Deno.test("a certificate of the same name, or name and key, as one in another store is read for itself", () => {
  const namesake = makeRoot("Root", { key: testKey("P-256", "namesake") });
  const renewed = reissue(root, { notAfter: fromNow(-60) });
  const [plain, other, old] = [trustIn(root), trustIn(namesake), trustIn(renewed)];
  const read = [plain, other, old].map(({ anchors }) => anchors.certificates[0]!);
  assert.equal(new Set(read).size, 3);
  assert.deepEqual(read.map(({ der }) => der), [root.der, namesake.der, renewed.der]);
  const leaf = [makeLeaf(root)];
  assert.equal(backendVerdict(leaf, plain), "accepted");
  assert.notEqual(backendVerdict(leaf, other), "accepted");
  assert.notEqual(backendVerdict(leaf, old), "accepted");
});

Deno.test("a certificate that a bundle lists is not taken for one that a peer shows", () => {
  // As an anchor version 1 passes; shown by a peer it must not, also after a bundle with it has been read.
  const old = makeRoot("Version 1", { version: 1, extensions: [] });
  const trust = trustIn(old);
  assert.equal(trust.size, 1);
  assert.equal(backendVerdict([old], trust), "unsupported_version");
});

Deno.test("TrustStore is frozen", () => {
  const store = TrustStore.parse(root.pem);
  assert.throws(() => (store as { revocation: unknown }).revocation = null, TypeError);
  assert.throws(() => (store.notes as string[]).push("x"), TypeError);
});

Deno.test("TrustStore.system reads SSL_CERT_FILE, leaves out what does not parse, and says so", async () => {
  const directory = await Deno.makeTempDir();
  const before = Deno.env.get("SSL_CERT_FILE");
  try {
    Deno.env.set("SSL_CERT_FILE", `${directory}/roots.pem`);
    assert.throws(() => TrustStore.system(), TrustStoreError);
    await Deno.writeTextFile(`${directory}/roots.pem`, root.pem + toPem(root.der.slice(0, -1)));
    const store = TrustStore.system();
    assert.equal(store.size, 1);
    assert.match(store.notes.join("\n"), /certificate 2 of the CA bundle: .*it anchors nothing/);
    assert.equal(backendVerdict([makeLeaf(root)], store), "accepted");
  } finally {
    if (before === undefined) Deno.env.delete("SSL_CERT_FILE");
    else Deno.env.set("SSL_CERT_FILE", before);
    await Deno.remove(directory, { recursive: true });
  }
});
