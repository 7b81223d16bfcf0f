import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import type { AddressInfo } from "node:net";
import { type CipherNameAndProtocol, createServer, type Server } from "node:tls";
import { promisify } from "node:util";
import { cipherSuiteCode, tlsVersionCode } from "../../src/tls/cipher_suites.ts";
import { type Leaf, makeCa } from "../support/pki.ts";

/** What OpenSSL is asked to offer, by type of the server's key: together every suite rustls can negotiate. */
const OFFERS = [
  ["RSA-2048", "-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"],
  ["RSA-2048", "-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384"],
  ["RSA-2048", "-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305"],
  ["P-256", "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"],
  ["P-256", "-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"],
  ["P-256", "-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"],
  ["P-256", "-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"],
  ["P-256", "-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"],
  ["P-256", "-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
] as const;

Deno.test("cipherSuiteCode and tlsVersionCode give the codes of what node:tls negotiates", async () => {
  const codes = opensslCodes();
  const ca = makeCa({ name: "CA" });
  const leaves = {
    "RSA-2048": ca.issue({ name: "server", purpose: "server", keyType: "RSA-2048" }),
    "P-256": ca.issue({ name: "server", purpose: "server", keyType: "P-256" }),
  };
  for (const [keyType, ...offer] of OFFERS) {
    const { cipher, version } = await negotiateWithOpenssl(leaves[keyType], offer);
    assert.equal(cipherSuiteCode(cipher.standardName), codes.get(offer[2]), offer[2]);
    assert.equal(tlsVersionCode(version), offer[0] === "-tls1_3" ? 0x0304 : 0x0303);
  }
});

Deno.test("cipherSuiteCode gives null for a suite it does not know", () => {
  for (const name of ["", "TLS_RSA_WITH_AES_128_CBC_SHA", "constructor"]) {
    assert.equal(cipherSuiteCode(name), null);
  }
});

Deno.test("tlsVersionCode gives null for a version it does not know", () => {
  for (const version of ["", "TLSv1.1", "unknown"]) assert.equal(tlsVersionCode(version), null);
});

interface Negotiated {
  readonly cipher: CipherNameAndProtocol;
  readonly version: string;
}

async function negotiateWithOpenssl(leaf: Leaf, offer: readonly string[]): Promise<Negotiated> {
  const { promise, resolve } = Promise.withResolvers<Negotiated>();
  const server = createServer({ cert: leaf.certPem, key: leaf.keyPem }, (socket) => {
    resolve({ cipher: socket.getCipher(), version: socket.getProtocol() ?? "" });
    socket.end();
  });
  const port = await listen(server);
  try {
    const client = promisify(execFile)("openssl", ["s_client", "-connect", `127.0.0.1:${port}`, ...offer]);
    client.child.stdin?.end();
    await client;
    return await promise;
  } finally {
    await new Promise((done) => server.close(done));
  }
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}

/** OpenSSL's names and codes: lines as `0x13,0x01 - TLS_AES_128_GCM_SHA256 TLSv1.3 …`. */
function opensslCodes(): Map<string, number> {
  const lines = execFileSync("openssl", ["ciphers", "-V", "ALL"], { encoding: "utf8" });
  const suites = lines.matchAll(/0x(..),0x(..) - (\S+)/g);
  return new Map([...suites].map(([, high, low, name]) => [name ?? "", parseInt(`${high}${low}`, 16)]));
}
