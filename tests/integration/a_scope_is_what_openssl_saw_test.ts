/**
 * Scopes against OpenSSL: a client presents a certificate with a difficult subject, or insists on a version and a cipher
 * suite, and what the app is told must be what openssl says of the same connection.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import type { TlsRecord } from "../../src/tls/record.ts";
import { CLIENT_AUTH, extendedKeyUsage } from "../support/certificate_extensions.ts";
import {
  issue,
  makeIntermediate,
  makeLeaf,
  makeRoot,
  type NameSpec,
  testKey,
} from "../support/chain_builder.ts";
import { startCountingBackend } from "../support/counting_backend.ts";
import { leafOf } from "../support/odd_certificates.ts";
import { type Leaf, makeCa } from "../support/pki.ts";
import { startTestProxy, type TestProxy } from "../support/proxy.ts";
import { connectRawTls, readError, startupMessage } from "../support/raw_client.ts";
import { sClient } from "../support/s_client.ts";

const root = makeRoot("client CA");
const intermediate = makeIntermediate(root, "intermediate CA");
const serverCa = makeCa({ name: "server CA" });

/** Puts every scope where the test finds it, and refuses. */
const WITNESS = `
  export default async (scope, receive, send) => {
    (globalThis.scopes ??= []).push(scope);
    await send({ type: "postgresql.reject" });
  };
`;

const DC = "0.9.2342.19200300.100.1.25";
const UID = "0.9.2342.19200300.100.1.1";

/** Twenty-one subjects that are hard to write down. */
const SUBJECTS: readonly NameSpec[] = [
  "alice",
  [["C", "FR"], ["O", "Acme, Inc."], ["OU", "R&D"], ["CN", "alice"]],
  [["OU", "one"], ["OU", "two"], ["CN", "alice"]],
  [[DC, "org"], [DC, "example"], [UID, "u1"]],
  "a,b",
  "a+b",
  'the "boss"',
  "a\\b\\2C",
  "<a>;b",
  "a=b",
  "eve,CN=alice",
  "#1#2",
  " a b ",
  "  a  ",
  " ",
  "alice\0.evil",
  "a\r\nb\tc\x7f",
  "Jürgen Ωμέγα 😀",
  "\u202eecila",
  [["1.3.6.1.4.1.99999.1", "hi"], ["CN", "x".repeat(64)]],
  [["emailAddress", "a+b@example.com"], ["CN", "a"]],
];

Deno.test("client_cert_name and client_cert_chain are what openssl prints and presents, for 21 difficult subjects", async () => {
  await using counting = await startCountingBackend();
  await using proxy = await startTestProxy({
    app: WITNESS,
    listener: { ...keysOf(serverLeaf("P-256")), mtls: true, client_ca: root.pem },
    backend: counting.backend,
  });
  for (const subject of SUBJECTS) {
    const certificate = issue({ issuer: intermediate, subject, extensions: [extendedKeyUsage(CLIENT_AUTH)] });
    const leaf = { ...leafOf(certificate), chainPem: certificate.pem + intermediate.pem };
    const record = await recordAfter(async () => {
      await using client = await connectRawTls(proxy.ports[0]!, { certificate: leaf });
      await client.send(startupMessage());
      return (await readError(client)).sqlstate;
    });
    assert.equal(record.client_cert_name, opensslName(certificate.pem), JSON.stringify(subject));
    assert.deepEqual(
      record.client_cert_chain.map(derOf),
      [certificate.der, intermediate.der].map((it) => it.toBase64()),
    );
    assert.equal(record.client_cert_error, null);
  }
});

/** Suites by key of the server's certificate: OpenSSL's name, IANA's number. */
const SUITES = {
  "1.3": [["TLS_AES_128_GCM_SHA256", 0x1301], ["TLS_AES_256_GCM_SHA384", 0x1302], [
    "TLS_CHACHA20_POLY1305_SHA256",
    0x1303,
  ]],
  "P-256": [["ECDHE-ECDSA-AES128-GCM-SHA256", 0xc02b], ["ECDHE-ECDSA-AES256-GCM-SHA384", 0xc02c], [
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    0xcca9,
  ]],
  "rsa2048": [["ECDHE-RSA-AES128-GCM-SHA256", 0xc02f], ["ECDHE-RSA-AES256-GCM-SHA384", 0xc030], [
    "ECDHE-RSA-CHACHA20-POLY1305",
    0xcca8,
  ]],
} as const;

Deno.test("tls_version, cipher_suite and server_cert are what openssl has agreed on, for every suite", async () => {
  for (const key of ["P-256", "rsa2048"] as const) {
    const server = serverLeaf(key);
    await using counting = await startCountingBackend();
    await using proxy = await startTestProxy({
      app: WITNESS,
      listener: keysOf(server),
      backend: counting.backend,
    });
    for (const [name, code] of SUITES["1.3"]) {
      const record = await recordFor(proxy, { version: "1.3", args: ["-ciphersuites", name] });
      assert.deepEqual([record.tls_version, record.cipher_suite], [0x0304, code], name);
      assert.equal(derOf(record.server_cert!), server.der.toBase64());
    }
    for (const [name, code] of SUITES[key]) {
      const record = await recordFor(proxy, { version: "1.2", args: ["-cipher", name] });
      assert.deepEqual([record.tls_version, record.cipher_suite], [0x0303, code], name);
      assert.deepEqual([record.client_cert_chain, record.client_cert_name], [[], null]);
    }
  }
});

async function recordFor(proxy: TestProxy, options: Parameters<typeof sClient>[1]): Promise<TlsRecord> {
  return await recordAfter(async () => (await sClient(proxy.ports[0]!, options)).sqlstate);
}

/** The record of the one connection that `connect` makes; it must have been refused by the witness. */
async function recordAfter(connect: () => Promise<string | null>): Promise<TlsRecord> {
  const scopes = (globalThis as unknown as { scopes: { extensions: { tls: TlsRecord } }[] }).scopes ??= [];
  const before = scopes.length;
  assert.equal(await connect(), "28000");
  assert.equal(scopes.length, before + 1);
  return scopes.at(-1)!.extensions.tls;
}

function serverLeaf(key: "P-256" | "rsa2048"): Leaf {
  return key === "P-256"
    ? serverCa.issue({ name: "localhost", purpose: "server", sans: ["localhost"] })
    : leafOf(makeLeaf(makeRoot("server CA"), { subject: "localhost", key: testKey("rsa2048") }));
}

function keysOf(leaf: Leaf): Record<string, unknown> {
  return { server_cert: leaf.chainPem, server_key: leaf.keyPem };
}

function opensslName(pem: string): string {
  const args = ["x509", "-noout", "-subject", "-nameopt", "RFC2253,-esc_msb"];
  return execFileSync("openssl", args, { input: pem, encoding: "utf8" }).replace(/^subject=/, "").replace(
    /\n$/,
    "",
  );
}

function derOf(pem: string): string {
  return new X509Certificate(pem).raw.toBase64();
}
