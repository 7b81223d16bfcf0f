import assert from "node:assert/strict";
import { formatProblem } from "../../src/errors.ts";
import { makeCa, makeSelfSigned } from "../support/pki.ts";
import {
  attempt,
  client,
  LISTENER,
  load,
  other,
  pem,
  problems,
  root,
  server,
  shorten,
  version1,
} from "./material_support.ts";

Deno.test("MaterialLoader accepts a root at the end of the chain", () => {
  assert.deepEqual(load({ "server.pem": server.chainPem + root.certPem }).warnings, []);
});

Deno.test("MaterialLoader refuses a certificate file that it cannot read or that holds none", () => {
  const cases: [string | Uint8Array | null, string][] = [
    [null, 'Cannot read file "server.pem": it does not exist'],
    ["", 'Cannot use file "server.pem": it is empty, expected PEM'],
    ["hello", 'Cannot use file "server.pem": it holds no PEM block, expected PEM'],
    [
      server.der,
      'Cannot use file "server.pem": it holds DER, expected PEM (openssl converts it with -inform DER)',
    ],
    [server.keyPem, 'Cannot use file "server.pem": it holds PRIVATE KEY, expected a CERTIFICATE'],
    [
      server.certPem.slice(0, 200),
      'Cannot use file "server.pem": block 1 ("CERTIFICATE") does not end, expected PEM',
    ],
    [pem("CERTIFICATE", "AAAA"), 'Cannot use file "server.pem": certificate 1 is malformed, expected X.509'],
  ];
  for (const [content, message] of cases) {
    assert.deepEqual(problems({ "server.pem": content }), [
      `${LISTENER}server_cert (route "orders"): ${message}`,
    ]);
  }
});

Deno.test("MaterialLoader refuses a chain out of order and says where", () => {
  const wrong = (chain: string) => problems({ "server.pem": chain });
  const start =
    `${LISTENER}server_cert (route "orders"): Cannot use file "server.pem": its chain is out of order, `;
  const end = ", expected the leaf first and each certificate signed by the next";
  const impostor = makeCa({ name: "Intermediate" });
  assert.deepEqual(wrong(server.certPem + root.certPem), [
    `${start}certificate 1 ("CN=Server") is not issued by certificate 2 ("CN=Root")${end}`,
  ]);
  assert.deepEqual(wrong(server.chainPem + other.certPem), [
    `${start}certificate 2 ("CN=Intermediate") is not issued by certificate 3 ("CN=Other")${end}`,
  ]);
  assert.deepEqual(wrong(server.certPem + impostor.certPem), [
    `${start}certificate 1 ("CN=Server") is signed by another key than that of certificate 2 ("CN=Intermediate")${end}`,
  ]);
});

Deno.test("MaterialLoader warns, and does not refuse, when the runtime cannot check a signature of the chain", () => {
  const ca = makeCa({ name: "CA", keyType: "P-521" });
  const leaf = ca.issue({ name: "Leaf", purpose: "server" });
  const { warnings } = load({ "server.pem": leaf.certPem + ca.certPem, "server.key": leaf.keyPem });
  assert.deepEqual(warnings.map(({ message }) => message.replace(/".*\/server/, '"server')), [
    'Could not check the chain in file "server.pem": certificate 2 ("CN=CA") has a key that cannot be used for it',
  ]);
});

Deno.test("MaterialLoader refuses certificates of another time, and warns 14 days before the end", () => {
  const notAfter = new Date(Math.ceil(Date.now() / 1000) * 1000 + 20 * DAY_MS);
  const notBefore = new Date(notAfter.getTime() - 100 * DAY_MS);
  const self = makeSelfSigned({ name: "Self", purpose: "server", notBefore, notAfter });
  const files = { "server.pem": self.certPem, "server.key": self.keyPem };
  const text = (date: Date) => date.toISOString().replace(".000Z", "Z");
  const at = (now: number) => attempt(files, { now });
  const start = `${LISTENER}server_cert (route "orders"): `;
  const early = notBefore.getTime() - 1000;
  assert.deepEqual(at(early).problems.filter((line) => line.startsWith(start)), [
    `${start}Cannot use file "server.pem": certificate 1 ("CN=Self") is not valid before ${
      text(notBefore)
    }, ` +
    `now is ${text(new Date(early))}`,
  ]);
  const late = notAfter.getTime() + 1000;
  assert.deepEqual(at(late).problems.filter((line) => line.startsWith(start)), [
    `${start}Cannot use file "server.pem": certificate 1 ("CN=Self") expired on ${text(notAfter)}, ` +
    `now is ${text(new Date(late))}`,
  ]);
  const soon = `${start}File "server.pem" has to be renewed: certificate 1 ("CN=Self") expires on ${
    text(notAfter)
  }`;
  assert.deepEqual(at(notAfter.getTime() - 14 * DAY_MS).warnings, []);
  assert.deepEqual(at(notAfter.getTime() - 14 * DAY_MS + 1).warnings, [soon]);
  assert.deepEqual(at(notAfter.getTime()).warnings.filter((line) => line.startsWith(start)), [soon]);
});

Deno.test("MaterialLoader refuses an expired intermediate, and only warns of an expired root sent along", () => {
  const past = { notBefore: new Date(Date.now() - 9 * DAY_MS), notAfter: new Date(Date.now() - DAY_MS) };
  const oldRoot = makeCa({ name: "Old", ...past });
  const leaf = oldRoot.issue({ name: "Leaf", purpose: "server" });
  const { warnings } = load({ "server.pem": leaf.certPem + oldRoot.certPem, "server.key": leaf.keyPem });
  assert.match(warnings.map(formatProblem).join("\n"), /certificate 2 \("CN=Old"\) expired on/);
  const middle = root.issueCa({ name: "Middle", ...past });
  const below = middle.issue({ name: "Below", purpose: "server" });
  const [line, ...more] = problems({ "server.pem": below.chainPem, "server.key": below.keyPem });
  assert.match(line ?? "", /server_cert .* certificate 2 \("CN=Middle"\) expired on/);
  assert.deepEqual(more, []);
});

Deno.test("MaterialLoader refuses a certificate whose extended key usage is for the other side", () => {
  assert.deepEqual(problems({ "server.pem": client.certPem, "server.key": client.keyPem }), [
    `${LISTENER}server_cert (route "orders"): Cannot use file "server.pem": certificate 1 ("CN=Client") is not for a server, ` +
    "expected serverAuth in its extended key usage",
  ]);
  assert.deepEqual(problems({ "proxy.pem": server.chainPem, "proxy.key": server.keyPem }), [
    `proxy[0].backend.client_cert (route "orders"): Cannot use file "proxy.pem": certificate 1 ("CN=Server") is not for a client, ` +
    "expected clientAuth in its extended key usage",
  ]);
});

Deno.test("MaterialLoader accepts a server certificate without extended key usage", () => {
  const self = makeCa({ name: "localhost" });
  assert.deepEqual(load({ "server.pem": self.certPem, "server.key": self.keyPem }).warnings, []);
});

Deno.test("MaterialLoader warns when the server certificate is X.509 version 1", () => {
  const { certPem, keyPem } = version1();
  assert.deepEqual(load({ "server.pem": certPem, "server.key": keyPem }).warnings.map(shorten), [
    `${LISTENER}server_cert (route "orders"): File "server.pem" will not do for every peer: ` +
    'certificate 1 ("CN=v1") is X.509 version 1, which rustls refuses, expected version 3',
  ]);
});

const DAY_MS = 24 * 60 * 60 * 1000;
