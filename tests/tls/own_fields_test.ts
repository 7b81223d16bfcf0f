import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { DerError } from "../../src/tls/path/der.ts";
import { readOwnFields } from "../../src/tls/own_fields.ts";
import { makeCa } from "../support/pki.ts";

const ca = makeCa({ name: "CA" });
const server = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost"] });

Deno.test("readOwnFields() says of a certificate what node:crypto says", () => {
  for (const { certPem } of [ca, server]) {
    const x509 = new X509Certificate(certPem);
    const fields = readOwnFields(x509.raw);
    assert.equal(fields.version, 3);
    assert.equal(fields.notBefore, Date.parse(x509.validFrom));
    assert.equal(fields.notAfter, Date.parse(x509.validTo));
  }
});

Deno.test("readOwnFields() gives the names as they are encoded", () => {
  const root = readOwnFields(new X509Certificate(ca.certPem).raw);
  const leaf = readOwnFields(new X509Certificate(server.certPem).raw);
  assert.deepEqual(root.subject, root.issuer);
  assert.deepEqual(leaf.issuer, root.subject);
  assert.notDeepEqual(leaf.subject, leaf.issuer);
});

Deno.test("readOwnFields() tells no extended key usage from one", () => {
  assert.equal(readOwnFields(new X509Certificate(ca.certPem).raw).extendedKeyUsage, null);
  const client = ca.issue({ name: "alice", purpose: "client" });
  assert.deepEqual(readOwnFields(new X509Certificate(server.certPem).raw).extendedKeyUsage, [
    "1.3.6.1.5.5.7.3.1",
  ]);
  assert.deepEqual(readOwnFields(new X509Certificate(client.certPem).raw).extendedKeyUsage, [
    "1.3.6.1.5.5.7.3.2",
  ]);
});

Deno.test("readOwnFields() refuses what is cut short, and what is no certificate", () => {
  const der = new X509Certificate(server.certPem).raw;
  assert.throws(() => readOwnFields(der.subarray(0, der.length - 1)), DerError);
  assert.throws(() => readOwnFields(der.subarray(4)), DerError);
  assert.throws(() => readOwnFields(new Uint8Array()), DerError);
});
