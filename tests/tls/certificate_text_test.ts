import assert from "node:assert/strict";
import { describeCertificate } from "../../src/tls/certificate_text.ts";
import { isCertificateFor } from "../../src/tls/certificate_names.ts";
import { makeRoot } from "../support/chain_builder.ts";
import { issueBer, issueOld } from "../support/odd_certificates.ts";
import { makeCa } from "../support/pki.ts";
import { run } from "../support/process.ts";

const ca = makeCa({ name: 'Example, "the" CA' });

Deno.test("describeCertificate says what openssl says", async () => {
  const sans = ["db.example.com", "*.example.com", "10.0.0.1", "2001:db8::1"];
  const leaf = ca.issue({ name: "db + more", purpose: "server", sans });
  const text = describeCertificate(leaf.der);
  const args = ["x509", "-noout", "-subject", "-issuer", "-dates", "-fingerprint", "-sha256"];
  const { stdout } = await run("openssl", [...args, "-nameopt", "RFC2253,-esc_msb", "-dateopt", "iso_8601"], {
    input: leaf.certPem,
  });
  const printed = Object.fromEntries(stdout.trim().split("\n").map((line) => line.split(/=(.*)/s)));
  assert.equal(text.subject, printed.subject);
  assert.equal(text.issuer, printed.issuer);
  assert.equal(text.notBefore, Date.parse(printed.notBefore));
  assert.equal(text.notAfter, Date.parse(printed.notAfter));
  assert.equal(text.sha256, printed["sha256 Fingerprint"].replaceAll(":", "").toLowerCase());
  assert.deepEqual(text.sans, ["DNS:db.example.com", "DNS:*.example.com", "IP:10.0.0.1", "IP:2001:db8::1"]);
});

Deno.test("describeCertificate reads version 1, and what is not in strict DER as far as it goes", () => {
  const root = makeRoot("root");
  const old = describeCertificate(issueOld(1, "old", root).der);
  assert.equal(old.subject, "CN=old");
  const ber = describeCertificate(issueBer(root).der);
  assert.match(ber.subject, /CN=/);
  assert.ok(ber.notAfter > Date.now());
});

Deno.test("describeCertificate of what is no certificate has a fingerprint and no dates", () => {
  const { subject, notAfter, sha256 } = describeCertificate(Uint8Array.of(1, 2, 3));
  assert.equal(subject, "");
  assert.ok(Number.isNaN(notAfter));
  assert.match(sha256, /^[0-9a-f]{64}$/);
});

Deno.test("describeCertificate cuts names and lists that nobody reads", () => {
  const sans = Array.from({ length: 300 }, (_, i) => `host${i}.example.com`);
  const leaf = ca.issue({ name: "x".repeat(5_000), purpose: "server", sans });
  const text = describeCertificate(leaf.der);
  assert.equal(text.sans.length, 100);
  assert.ok(text.subject.length < 600);
});

Deno.test("isCertificateFor goes by the names of the certificate, and by none of what it cannot read", () => {
  const leaf = ca.issue({ name: "cn.example.com", purpose: "server", sans: ["db.example.com", "10.0.0.1"] });
  assert.ok(isCertificateFor(leaf.der, "db.example.com"));
  assert.ok(isCertificateFor(leaf.der, "10.0.0.1"));
  for (const name of ["cn.example.com", "other.example.com", "10.0.0.2", "", "not a name"]) {
    assert.ok(!isCertificateFor(leaf.der, name), name);
  }
  assert.ok(!isCertificateFor(Uint8Array.of(1), "db.example.com"));
});
