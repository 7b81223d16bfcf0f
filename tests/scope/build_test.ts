import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { buildDisconnect, buildExtensions, lazyTlsRecord } from "../../src/scope/build.ts";
import { tlsRecord } from "../../src/tls/record.ts";
import { makeCa } from "../support/pki.ts";
import { scopeOf, TLS } from "./scope_support.ts";

const ca = makeCa({ name: "CA" });
const intermediate = ca.issueCa({ name: "intermediate CA" });
const server = ca.issue({ name: "localhost", purpose: "server" });
const alice = intermediate.issue({ name: "alice", purpose: "client" });
const MUTUAL = { ...TLS, serverCert: server.der, clientChain: [alice.der, intermediate.der] };

/** The extension, key by key, as its specification lists them. */
const KEYS = [
  "server_cert",
  "client_cert_chain",
  "client_cert_name",
  "client_cert_error",
  "tls_version",
  "cipher_suite",
];

Deno.test("buildPostgresqlScope() gives every key of the contract, and no other", () => {
  const scope = scopeOf();
  assert.deepEqual({
    ...scope,
    parameters: { ...scope.parameters },
    extensions: Object.keys(scope.extensions),
  }, {
    type: "postgresql",
    pagi: { version: "0.1", spec_version: "0.1" },
    route: "orders",
    connection: "c-1a2b3c4d",
    client: ["203.0.113.9", 51514],
    server: ["10.0.0.5", 6432],
    server_name: "db.example.com",
    user: "alice",
    database: "orders",
    parameters: { user: "alice", database: "orders", application_name: "psql" },
    extensions: ["tls"],
  });
});

Deno.test("buildPostgresqlScope() leaves the extension out in clear, instead of an empty one", () => {
  const scope = scopeOf({ tls: null });
  assert.equal("tls" in scope.extensions, false);
  assert.equal(JSON.parse(JSON.stringify(scope)).extensions.tls, undefined);
  assert.equal(scope.server_name, null);
});

Deno.test("buildPostgresqlScope() takes the user's name for a database that is not named, or is empty", () => {
  for (const parameters of [[["user", "bob"]], [["user", "bob"], ["database", ""]]] as [string, string][][]) {
    assert.equal(scopeOf({ parameters: new Map(parameters) }).database, "bob");
  }
});

Deno.test("buildPostgresqlScope() knows no parameter that the client did not send", () => {
  const names = ["constructor", "toString", "hasOwnProperty", "__proto__"];
  const none = scopeOf().parameters;
  for (const name of names) assert.equal(none[name], undefined, name);
  const sent = scopeOf({ parameters: new Map([["user", "a"], ...names.map((name) => [name, "x"] as const)]) })
    .parameters;
  for (const name of names) assert.equal(sent[name], "x", name);
  assert.equal(({} as Record<string, unknown>)["x"], undefined);
});

Deno.test("buildPostgresqlScope() gives nothing that could be changed", () => {
  const facts = [...MUTUAL.clientChain];
  const scope = scopeOf({ tls: { ...MUTUAL, clientChain: facts } });
  const isFrozen = (value: unknown): boolean =>
    typeof value !== "object" || value === null ||
    (Object.isFrozen(value) && Object.values(value).every(isFrozen));
  assert.ok(isFrozen(scope));
  const tls = scope.extensions.tls as unknown as Record<string, unknown>;
  for (const key of KEYS) assert.throws(() => tls[key] = "forged", TypeError, key);
  assert.throws(() => (scope.extensions as Record<string, unknown>)["tls"] = null, TypeError);
  assert.throws(() => (tls["client_cert_chain"] as string[]).push("forged"), TypeError);
});

Deno.test("lazyTlsRecord() has the six keys, own and enumerable, in every way to look", () => {
  const record = lazyTlsRecord(MUTUAL);
  assert.deepEqual(Object.keys(record), KEYS);
  assert.deepEqual(Object.keys({ ...record }), KEYS);
  assert.deepEqual(Object.keys(JSON.parse(JSON.stringify(record))), KEYS);
  assert.deepEqual({ ...record }, tlsRecord(MUTUAL));
  assert.deepEqual(JSON.parse(JSON.stringify(record)), tlsRecord(MUTUAL));
  assert.deepEqual(structuredClone(record), tlsRecord(MUTUAL));
});

Deno.test("lazyTlsRecord() makes PEM and name when they are read, and once", () => {
  let reads = 0;
  const facts = Object.defineProperty({ ...MUTUAL }, "clientChain", {
    get: () => {
      reads++;
      return MUTUAL.clientChain;
    },
  });
  const record = lazyTlsRecord(facts);
  assert.equal(record.tls_version, 0x0304);
  assert.equal(reads, 0, "nobody has asked for certificates");
  assert.equal(record.client_cert_chain, record.client_cert_chain);
  assert.equal(record.client_cert_name, record.client_cert_name);
  assert.equal(reads, 2);
});

Deno.test("lazyTlsRecord() gives the certificates as presented, leaf first, as PEM of 64 columns", () => {
  const { server_cert, client_cert_chain, client_cert_name } = lazyTlsRecord(MUTUAL);
  assert.deepEqual(
    [server_cert!, ...client_cert_chain].map((pem) => new X509Certificate(pem).raw.toBase64()),
    [
      server.der.toBase64(),
      alice.der.toBase64(),
      intermediate.der.toBase64(),
    ],
  );
  for (const pem of [server_cert!, ...client_cert_chain]) {
    assert.match(
      pem,
      /^-----BEGIN CERTIFICATE-----\n([\w+/=]{64}\n)*[\w+/=]{1,64}\n-----END CERTIFICATE-----\n$/,
    );
  }
  assert.equal(client_cert_name, "CN=alice");
});

Deno.test("lazyTlsRecord() says null where there is nothing, and an empty list for no certificates", () => {
  assert.deepEqual({ ...lazyTlsRecord({ ...TLS, tlsVersion: null, cipherSuite: null }) }, {
    server_cert: null,
    client_cert_chain: [],
    client_cert_name: null,
    client_cert_error: null,
    tls_version: null,
    cipher_suite: null,
  });
});

Deno.test("buildExtensions() is the same for scopes of every protocol", () => {
  assert.deepEqual(Object.keys(buildExtensions(TLS)), ["tls"]);
  assert.deepEqual(Object.keys(buildExtensions(null)), []);
});

Deno.test("buildDisconnect() reports the backend leg as a record of its own", () => {
  const end = { reason: "client_closed", bytes_from_client: 1, bytes_from_backend: 2, duration_ms: 3 };
  const event = buildDisconnect({ ...end, backendTls: { ...MUTUAL, clientChain: [] } });
  assert.deepEqual(Object.keys(event), ["type", ...Object.keys(end), "backend_tls"]);
  assert.deepEqual(Object.keys(event.backend_tls!), KEYS);
  assert.equal(buildDisconnect({ ...end, backendTls: null }).backend_tls, null);
  assert.ok(Object.isFrozen(event));
});
