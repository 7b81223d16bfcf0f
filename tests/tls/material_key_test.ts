import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import process from "node:process";
import { makeSelfSigned } from "../support/pki.ts";
import {
  client,
  encodings,
  LISTENER,
  load,
  openssl,
  pem,
  pkcs8Of,
  problems,
  server,
  shorten,
} from "./material_support.ts";

Deno.test("MaterialLoader takes key and certificate from one file, and hands on each without the other", () => {
  const both = server.keyPem + server.chainPem;
  const [route] = load({ "server.pem": both, "server.key": both }).routes;
  assert.equal(route?.listener?.certPem, server.chainPem);
  assert.equal(route?.listener?.keyPem, server.keyPem);
});

Deno.test("MaterialLoader accepts every supported kind of key in PKCS#8, PKCS#1 and SEC1", () => {
  for (const keyType of ["P-256", "P-384", "P-521", "RSA-2048", "Ed25519"] as const) {
    const self = makeSelfSigned({ name: keyType, purpose: "server", keyType });
    for (const key of encodings(createPrivateKey(self.keyPem))) {
      const [route] = load({ "server.pem": self.certPem, "server.key": `text before\n${key}` }).routes;
      assert.equal(route?.listener?.keyPem, key, keyType);
    }
  }
});

Deno.test("MaterialLoader refuses a key that does not belong to the certificate", () => {
  assert.deepEqual(problems({ "server.key": client.keyPem }), [
    `${LISTENER}server_key (route "orders"): Cannot use file "server.key": ` +
    'its private key does not belong to the certificate in "server.pem"',
  ]);
});

Deno.test("MaterialLoader refuses an encrypted key and says how to decrypt it, whichever form it has", () => {
  const key = createPrivateKey(makeSelfSigned({ name: "x", purpose: "server", keyType: "RSA-2048" }).keyPem);
  const pkcs8 = openssl(["pkcs8", "-topk8", "-passout", "pass:secret"], pkcs8Of(key));
  const pkcs1 = openssl(["rsa", "-traditional", "-aes128", "-passout", "pass:secret"], pkcs8Of(key));
  assert.match(pkcs8, /BEGIN ENCRYPTED PRIVATE KEY/);
  assert.match(pkcs1, /Proc-Type: 4,ENCRYPTED/);
  for (const encrypted of [pkcs8, pkcs1]) {
    assert.deepEqual(problems({ "server.key": encrypted }), [
      `${LISTENER}server_key (route "orders"): Cannot use file "server.key": its private key is encrypted, ` +
      'expected a plain one, made with: openssl pkey -in "server.key" -out "server.key.plain"',
    ]);
  }
});

Deno.test("MaterialLoader refuses a key file without one usable private key", () => {
  const expected = "expected RSA from 2048 to 8192 bits, ECDSA P-256, P-384 or P-521, or Ed25519";
  const rsa1024 = generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey;
  const cases: [string | Uint8Array, string][] = [
    [pkcs8Of(rsa1024), `its RSA key has 1024 bits, ${expected}`],
    [
      openssl(["ecparam", "-name", "secp256k1", "-genkey", "-noout"]),
      `its ECDSA key is on secp256k1, ${expected}`,
    ],
    [openssl(["genpkey", "-algorithm", "ED448"]), `its private key is of type ed448, ${expected}`],
    [openssl(["genpkey", "-algorithm", "RSA-PSS"]), `its private key is of type rsa-pss, ${expected}`],
    [server.certPem, "it holds CERTIFICATE, expected a PRIVATE KEY"],
    [server.keyPem + client.keyPem, "it holds 2 private keys, expected one"],
    [pem("OPENSSH PRIVATE KEY", "AAAA"), "it holds OPENSSH PRIVATE KEY, expected PKCS#8, PKCS#1 or SEC1"],
    [pem("PRIVATE KEY", "AAAA"), "its private key is malformed, expected PKCS#8, PKCS#1 or SEC1"],
  ];
  for (const [key, state] of cases) {
    const [line, ...more] = problems({ "server.key": key });
    assert.equal(line, `${LISTENER}server_key (route "orders"): Cannot use file "server.key": ${state}`);
    assert.deepEqual(more, []);
  }
});

Deno.test("MaterialLoader accepts a SEC1 key behind its EC PARAMETERS", () => {
  const self = makeSelfSigned({ name: "x", purpose: "server" });
  const key = openssl(["ec"], self.keyPem);
  const parameters = openssl(["ecparam", "-name", "prime256v1"]);
  const [route] = load({ "server.pem": self.certPem, "server.key": parameters + key }).routes;
  assert.equal(route?.listener?.keyPem, key);
});

Deno.test("MaterialLoader warns when others may read the key, and allows root a group", () => {
  const isRoot = process.getuid?.() === 0;
  const modes: [number, boolean][] = [[0o600, false], [0o400, false], [0o640, !isRoot], [0o644, true], [
    0o620,
    true,
  ]];
  for (const [mode, isWarned] of modes) {
    const text = mode.toString(8).padStart(4, "0");
    assert.deepEqual(
      load({}, { modes: { "server.key": mode } }).warnings.map(shorten),
      isWarned
        ? [
          `${LISTENER}server_key (route "orders"): Private key file "server.key" is open to others: its mode is ${text}, ` +
          "expected 0600, or 0640 if root owns it",
        ]
        : [],
    );
  }
});

Deno.test("MaterialLoader shows nothing of a key in any message", () => {
  const body = server.keyPem.split("\n")[1]!;
  const broken = server.keyPem.replace(body, body.slice(4));
  for (
    const key of [broken, broken.replace("-----END", "----END"), body, server.keyPem.replace("\n", "\n?")]
  ) {
    const text = problems({ "server.key": key }).join("\n");
    assert.ok(text !== "" && !text.includes(body.slice(8, 24)), text);
  }
});
