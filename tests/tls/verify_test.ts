import assert from "node:assert/strict";

import {
  basicConstraints,
  CLIENT_AUTH,
  extendedKeyUsage,
  type GeneralNameParts,
  names,
  SERVER_AUTH,
} from "../support/certificate_extensions.ts";
import {
  fromNow,
  issue,
  makeIntermediate,
  makeLeaf,
  makeRoot,
  type NameSpec,
} from "../support/chain_builder.ts";
import { makeCrl } from "../support/crl_builder.ts";
import { backendVerdict, clientVerdict, trustIn, verdict } from "../support/verdict.ts";
import { PeerRejectedError } from "../../src/errors.ts";
import { TrustStore } from "../../src/tls/trust_store.ts";
import {
  AnonymousClient,
  plaintextClient,
  VerifiedPeer,
  verifyBackend,
  verifyClient,
} from "../../src/tls/verify.ts";

const root = makeRoot("Root");
const otherRoot = makeRoot("Other Root");
const mid = makeIntermediate(root, "Mid", { notAfter: fromNow(40_000) });
const alice = issue({
  subject: "alice",
  issuer: mid,
  extensions: [extendedKeyUsage(CLIENT_AUTH, SERVER_AUTH), names({ dNSName: "localhost" })],
});
const chain = [alice.der, mid.der];
const trust = trustIn(root);

Deno.test("verifyClient returns the chain as presented and the earliest notAfter of the path", () => {
  const identity = verifyClient(chain, { mtls: true, trust });
  assert.ok(identity instanceof VerifiedPeer);
  assert.deepEqual(identity.chain, chain);
  assert.equal(identity.notAfter, mid.spec.notAfter!.getTime());
  assert.equal(identity.trustedBy, '"CN=Root"');
});

Deno.test("verifyClient refuses a client without certificate when one is required", () => {
  assert.equal(clientVerdict([], trust), "no_certificate");
  assert.equal(verdict(() => void verifyClient([], { mtls: true, trust: null })), "no_certificate");
});

Deno.test("verifyClient refuses every certificate when the policy has no trust store", () => {
  assert.equal(verdict(() => void verifyClient(chain, { mtls: true, trust: null })), "unknown_issuer");
  const identity = verifyClient(chain, { mtls: "optional", trust: null });
  assert.equal(identity.kind === "anonymous" && identity.why, "client_certificate_refused");
});

Deno.test("verifyClient with optional certificates tells none from a refused one, and lets a good one be verified", () => {
  const none = verifyClient([], { mtls: "optional", trust });
  assert.ok(none instanceof AnonymousClient);
  assert.deepEqual([none.why, none.error, none.chain], ["no_client_certificate", null, []]);
  const refused = verifyClient(chain, { mtls: "optional", trust: trustIn(otherRoot) });
  assert.ok(refused instanceof AnonymousClient);
  assert.deepEqual([refused.why, refused.error?.code, refused.chain], [
    "client_certificate_refused",
    "unknown_issuer",
    chain,
  ]);
  assert.equal(verifyClient(chain, { mtls: "optional", trust }).kind, "verified");
});

Deno.test("verifyClient takes no notice of a certificate that was not asked for", () => {
  const identity = verifyClient(chain, { mtls: false, trust });
  assert.ok(identity instanceof AnonymousClient);
  assert.deepEqual([identity.why, identity.error, identity.chain], [
    "client_certificate_not_requested",
    null,
    [],
  ]);
});

/** A listener without TLS, which forwards CancelRequests. */
const CLEAR = { tlsEnabled: false, unsafeAllowPlaintext: false, plaintextCancel: true };

Deno.test("plaintextClient is anonymous for want of TLS", () => {
  assert.equal(plaintextClient(CLEAR, "session").why, "listener_without_tls");
  const either = { ...CLEAR, tlsEnabled: true, unsafeAllowPlaintext: true };
  assert.equal(plaintextClient(either, "session").why, "listener_without_tls");
  assert.equal(plaintextClient({ ...CLEAR, tlsEnabled: true }, "cancel").why, "listener_without_tls");
});

Deno.test("plaintextClient refuses what the listener does not serve in clear, whatever let it come so far", () => {
  const demanding = { ...CLEAR, tlsEnabled: true };
  assert.throws(() => plaintextClient(demanding, "session"), { name: "StageError", reason: "tls_required" });
  for (const listener of [CLEAR, demanding, { ...demanding, unsafeAllowPlaintext: true }]) {
    const refusing = { ...listener, plaintextCancel: false };
    assert.throws(() => plaintextClient(refusing, "cancel"), { reason: "plaintext_cancel_refused" });
  }
});

Deno.test("VerifiedPeer and AnonymousClient cannot be made or changed outside the verifier", () => {
  for (const made of [VerifiedPeer, AnonymousClient]) {
    const construct = made as unknown as new (...rest: unknown[]) => unknown;
    assert.throws(() => new construct(Symbol("maker"), [], { notAfter: 0, trustedBy: "" }), TypeError);
    assert.throws(() => Reflect.construct(construct, []), TypeError);
  }
  const identity = verifyClient(chain, { mtls: true, trust });
  assert.ok(
    VerifiedPeer.is(identity) && !VerifiedPeer.is({ ...identity }) &&
      !VerifiedPeer.is(Object.create(VerifiedPeer.prototype)),
  );
  assert.ok(AnonymousClient.is(plaintextClient(CLEAR, "session")) && !AnonymousClient.is(identity));
  assert.throws(() => (identity as { chain: unknown }).chain = [], TypeError);
  assert.throws(() => (identity.chain as Uint8Array[]).push(root.der), TypeError);
});

Deno.test("verifyBackend refuses a backend without certificate", () => {
  assert.equal(backendVerdict([], trust), "no_certificate");
});

/** Names in the certificate, the name that is meant, and whether they go together. */
const NAMES: readonly (readonly [GeneralNameParts[], string, boolean])[] = [
  [[{ dNSName: "db.example.com" }], "db.example.com", true],
  [[{ dNSName: "DB.Example.COM" }], "db.eXample.com", true],
  [[{ dNSName: "db.example.com" }], "db.example.com.", true],
  [[{ dNSName: "db.example.com." }], "db.example.com", false],
  [[{ dNSName: "db.example.com" }], "example.com", false],
  [[{ dNSName: "example.com" }], "db.example.com", false],
  [[{ dNSName: "*.example.com" }], "db.example.com", true],
  [[{ dNSName: "*.example.com" }], "example.com", false],
  [[{ dNSName: "*.example.com" }], "a.db.example.com", false],
  [[{ dNSName: "*.com" }], "example.com", false],
  [[{ dNSName: "*" }], "localhost", false],
  [[{ dNSName: "*.*.com" }], "db.example.com", false],
  [[{ dNSName: "d*.example.com" }], "db.example.com", false],
  [[{ dNSName: "db.*.com" }], "db.example.com", false],
  [[{ dNSName: "my_db.example.com" }], "my_db.example.com", true],
  [[{ dNSName: "xn--bcher-kva.example" }], "xn--bcher-kva.example", true],
  [[{ dNSName: "xn--bcher-kva.example" }], "bücher.example", false],
  [[{ dNSName: "a.example" }, { dNSName: "b.example" }], "b.example", true],
  [[{ dNSName: "10.0.0.1" }], "10.0.0.1", false],
  [[{ iPAddress: "10.0.0.1" }], "10.0.0.1", true],
  [[{ iPAddress: "10.0.0.1" }], "10.0.0.2", false],
  [[{ iPAddress: "2001:db8::1" }], "2001:DB8:0:0::1", true],
  [[{ iPAddress: "2001:db8::1" }], "[2001:db8::1]", true],
  [[{ iPAddress: "2001:db8::1" }], "2001:db8::2", false],
  [[{ iPAddress: "10.0.0.1" }], "::ffff:10.0.0.1", false],
  [[{ rfc822Name: "localhost" }], "localhost", false],
  [[{ uniformResourceIdentifier: "localhost" }], "localhost", false],
];

for (const [sans, serverName, matches] of NAMES) {
  const shown = JSON.stringify(sans.map((san) => Object.values(san as object)[0]));
  Deno.test(`verifyBackend ${matches ? "matches" : "does not match"} ${shown} with ${serverName}`, () => {
    const leaf = makeLeaf(root, { extensions: [names(...sans)] });
    const policy = { trust, tlsVerify: "full", serverName } as const;
    assert.equal(
      verdict(() => void verifyBackend([leaf.der], policy)),
      matches ? "accepted" : "name_mismatch",
    );
  });
}

Deno.test("verifyBackend takes the CN for a host name only without any SAN, once, and never for an address", () => {
  const say = (
    subject: NameSpec,
    serverName: string,
    ...sans: GeneralNameParts[]
  ) => {
    const leaf = issue({ subject, issuer: root, extensions: sans.length === 0 ? [] : [names(...sans)] });
    return verdict(() => void verifyBackend([leaf.der], { trust, tlsVerify: "full", serverName }));
  };
  assert.equal(say("db.example.com", "DB.example.com"), "accepted");
  assert.equal(say("*.example.com", "db.example.com"), "accepted");
  assert.equal(say("db.example.com", "db.example.com", { iPAddress: "10.0.0.1" }), "name_mismatch");
  assert.equal(say("db.example.com", "db.example.com", { rfc822Name: "a@example.com" }), "name_mismatch");
  assert.equal(say([["CN", "db.example.com"], ["CN", "evil.example"]], "db.example.com"), "name_mismatch");
  assert.equal(say("10.0.0.1", "10.0.0.1"), "name_mismatch");
  assert.equal(say("db.example.com\0.evil.example", "db.example.com"), "name_mismatch");
});

Deno.test("verifyBackend skips the name, and nothing else, when tlsVerify is ca", () => {
  const policy = { trust, tlsVerify: "ca", serverName: "elsewhere.example" } as const;
  assert.equal(verdict(() => void verifyBackend(chain, policy)), "accepted");
  assert.equal(verdict(() => void verifyBackend(chain, { ...policy, tlsVerify: "full" })), "name_mismatch");
  assert.equal(
    verdict(() => void verifyBackend(chain, { ...policy, trust: trustIn(otherRoot) })),
    "unknown_issuer",
  );
});

Deno.test("verifyClient does not carry an acceptance to another store, another purpose, or a prefix of the chain", () => {
  const clientOnly = issue({
    subject: "bob",
    issuer: mid,
    extensions: [extendedKeyUsage(CLIENT_AUTH), names({ dNSName: "localhost" })],
  });
  const own = trustIn(root);
  assert.equal(clientVerdict([clientOnly, mid], own), "accepted");
  assert.equal(clientVerdict([clientOnly, mid], own), "accepted");
  assert.equal(clientVerdict([clientOnly, mid], trustIn(otherRoot)), "unknown_issuer");
  assert.equal(clientVerdict([clientOnly], own), "unknown_issuer");
  assert.equal(clientVerdict([mid, clientOnly], own), "ca_as_leaf");
  assert.equal(backendVerdict([clientOnly, mid], own), "extended_key_usage");
});

Deno.test("verifyClient does not carry an acceptance to a store that has learnt of a revocation", () => {
  const before = TrustStore.parse(root.pem, { crlPem: makeCrl(root) + makeCrl(mid) });
  const after = TrustStore.parse(root.pem, { crlPem: makeCrl(root) + makeCrl(mid, { revoked: [alice] }) });
  assert.equal(clientVerdict([alice, mid], before), "accepted");
  assert.equal(clientVerdict([alice, mid], after), "revoked");
});

Deno.test("verifyBackend does not carry an acceptance to another name, be it as long", () => {
  const policy = { trust: trustIn(root), tlsVerify: "full" } as const;
  assert.equal(verdict(() => void verifyBackend(chain, { ...policy, serverName: "localhost" })), "accepted");
  assert.equal(
    verdict(() => void verifyBackend(chain, { ...policy, serverName: "localhosu" })),
    "name_mismatch",
  );
  assert.equal(verdict(() => void verifyBackend(chain, { ...policy, serverName: "localhost" })), "accepted");
  assert.equal(
    verdict(() => void verifyBackend(chain, { ...policy, serverName: "other.example" })),
    "name_mismatch",
  );
  assert.equal(
    verdict(() => void verifyBackend(chain, { ...policy, tlsVerify: "ca", serverName: "other.example" })),
    "accepted",
  );
  assert.equal(
    verdict(() => void verifyBackend(chain, { ...policy, serverName: "other.example" })),
    "name_mismatch",
  );
});

Deno.test("verifyClient forgets an acceptance with the first notAfter of leaf, intermediate and root, and before notBefore", () => {
  const start = fromNow(-3600).getTime();
  const end = fromNow(5000).getTime();
  const shortRoot = makeRoot("Short", { notBefore: new Date(start), notAfter: new Date(end) });
  const shortMid = makeIntermediate(root, "Short", { notBefore: new Date(start), notAfter: new Date(end) });
  const shortLeaf = makeLeaf(root, { extensions: [], notBefore: new Date(start), notAfter: new Date(end) });
  const leafOf = (issuer: typeof root) => makeLeaf(issuer, { extensions: [] });
  const cases = [
    { presented: [leafOf(shortRoot)], store: trustIn(shortRoot) },
    { presented: [leafOf(shortMid), shortMid], store: trustIn(root) },
    { presented: [shortLeaf], store: trustIn(root) },
    { presented: [shortLeaf], store: trustIn(shortLeaf) },
  ];
  for (const { presented, store } of cases) {
    assert.equal(clientVerdict(presented, store), "accepted");
    assert.equal(clientVerdict(presented, store, end), "accepted");
    assert.equal(clientVerdict(presented, store, end + 1), "expired");
    assert.equal(clientVerdict(presented, store, start), "accepted");
    assert.equal(clientVerdict(presented, store, start - 1), "not_yet_valid");
    assert.equal(clientVerdict(presented, store), "accepted");
    assert.equal(clientVerdict(presented, store, Number.NaN), "not_yet_valid");
  }
});

Deno.test("verifyClient says what it found in text that cannot harm a log", () => {
  const subject = [["O", "x".repeat(5000)], ["CN", 'evil"\n\u001b[31m\u202e\u2028\0']] as const;
  const leaf = issue({ subject, issuer: root, extensions: [basicConstraints(true)] });
  try {
    verifyClient([leaf.der], { mtls: true, trust });
    assert.fail("it was accepted");
  } catch (error) {
    assert.ok(error instanceof PeerRejectedError);
    assert.ok(error.message.length < 1000, String(error.message.length));
    assert.doesNotMatch(error.message, /[\p{C}\p{Zl}\p{Zp}]/u);
    assert.match(error.message, /CN=evil\\u\{22\}\\u\{a\}\\u\{1b\}\[31m\\u\{202e\}\\u\{2028\}\\u\{0\}/);
  }
});

Deno.test("verifyBackend tells the owner of a version 1 certificate what to do", () => {
  const leaf = makeLeaf(root, { version: 1 });
  assert.throws(
    () => verifyBackend([leaf.der], { trust, tlsVerify: "full", serverName: "localhost" }),
    /"CN=leaf": it is X\.509 version 1, expected version 3; reissue it with extensions/,
  );
});

Deno.test("verifyBackend names what the certificate is for when the name does not match", () => {
  const sans = ["a", "b", "c", "d", "e", "f"].map((name) => ({ dNSName: `${name}.example` }));
  const leaf = makeLeaf(root, { extensions: [names({ iPAddress: "2001:db8::1" }, ...sans)] });
  assert.throws(
    () => verifyBackend([leaf.der], { trust, tlsVerify: "full", serverName: "z.example" }),
    /it is for 2001:0db8:0000:0000:0000:0000:0000:0001, "a\.example", .* and 2 more, expected "z\.example"/,
  );
});
