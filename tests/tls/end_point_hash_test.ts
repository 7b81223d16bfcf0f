import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { endPointHash } from "../../src/tls/end_point_hash.ts";
import { makeCa } from "../support/pki.ts";
import { run } from "../support/process.ts";

Deno.test("endPointHash() uses the hash of the certificate's own signature, and none for Ed25519", () => {
  const cases = [["P-256", "sha256"], ["P-384", "sha384"], ["P-521", "sha512"], [
    "RSA-2048",
    "sha256",
  ]] as const;
  for (const [keyType, hash] of cases) {
    const { der } = makeCa({ name: "CA", keyType }).issue({ name: "localhost", purpose: "server" });
    assert.deepEqual(endPointHash(der), createHash(hash).update(der).digest(), keyType);
  }
  const { der } = makeCa({ name: "CA", keyType: "Ed25519" }).issue({ name: "localhost", purpose: "server" });
  assert.equal(endPointHash(der), null);
});

Deno.test("endPointHash() takes SHA-256 where openssl signed with MD5 or SHA-1, and reads every other digest", async () => {
  const cases: [digest: string, hash: string | null, ...more: string[]][] = [
    ["-md5", "sha256"],
    ["-sha1", "sha256"],
    ["-sha224", "sha224"],
    ["-sha384", "sha384"],
    ["-sha512", "sha512"],
    ["-sha256", "sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"],
    ["-sha1", "sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"],
    ["-sha3-256", null],
  ];
  for (const [digest, hash, ...more] of cases) {
    const der = await selfSigned(digest, more);
    const expected = hash && createHash(hash).update(der).digest();
    assert.deepEqual(endPointHash(der), expected, [digest, ...more].join(" "));
  }
});

Deno.test("endPointHash() gives none for what is no certificate", () => {
  for (const der of [new Uint8Array(0), Uint8Array.of(0x30, 0x80), Uint8Array.of(0x30, 0)]) {
    assert.equal(endPointHash(der), null);
  }
});

async function selfSigned(digest: string, more: readonly string[]): Promise<Uint8Array> {
  const args = [
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-keyout",
    "/dev/null",
    "-subj",
    "/CN=localhost",
  ];
  const { code, stdout, stderr } = await run("openssl", [...args, digest, ...more]);
  assert.equal(code, 0, stderr);
  return Uint8Array.fromBase64(stdout.replace(/-----[A-Z ]+-----/g, ""));
}
