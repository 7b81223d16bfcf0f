import assert from "node:assert/strict";
import fc from "fast-check";
import { ConfigError } from "../../src/errors.ts";
import { parseConfig } from "../../src/config/parse.ts";
import { adminKeys, backendKeys, listenerKeys, topLevelKeys } from "../../src/config/schema.ts";
import { parseText, problemsOf, toml } from "./config_support.ts";

Deno.test("parseConfig fills in every default when only required keys are given", () => {
  assert.deepEqual(parseText(toml()), {
    file: "/etc/pgtls/pgtls.toml",
    logLevel: "info",
    logFormat: "auto",
    workers: "auto",
    drainTimeoutMs: 30_000,
    admin: null,
    routes: [{
      name: "proxy[0]",
      index: 0,
      app: null,
      appTimeoutMs: 5_000,
      allow: [],
      listener: {
        bindAddress: { kind: "tcp", host: "0.0.0.0", port: 6432 },
        tlsEnabled: true,
        serverCert: "/etc/pgtls/server.pem",
        serverKey: "/etc/pgtls/server.key",
        mtls: false,
        clientCa: null,
        clientCrl: null,
        serverNames: [],
        minTlsVersion: "1.2",
        unsafeAllowPlaintext: false,
        plaintextCancel: true,
        proxyProtocolFrom: [],
        startupTimeoutMs: 10_000,
        maxConnections: 0,
        idleTimeoutMs: 0,
      },
      backend: {
        address: { kind: "tcp", host: "db.internal", port: 5432 },
        tlsEnabled: true,
        rootCa: "/etc/pgtls/ca.pem",
        tlsVerify: "full",
        serverName: "db.internal",
        negotiation: "postgres",
        connectTimeoutMs: 10_000,
        clientCert: null,
        clientKey: null,
      },
      auth: { mode: "passthrough", authFile: null, authenticationTimeoutMs: 60_000 },
    }],
  });
});

Deno.test("parseConfig keeps every key when all are given", () => {
  const config = parseText(`
    log_level = "trace"
    log_format = "json"
    workers = 3
    drain_timeout = "0s"
    [admin]
    bind_address = "10.0.0.1:9432"
    server_cert = "a.pem"
    server_key = "/abs/a.key"
    mtls = true
    client_ca = "../ca.pem"
    [[proxy]]
    name = "orders"
    app = "policy.ts"
    app_timeout = "1s"
    [proxy.listener]
    bind_address = "[::1]:0"
    server_cert = "s.pem"
    server_key = "s.key"
    mtls = "optional"
    client_ca = "c.pem"
    client_crl = "c.crl"
    server_names = ["DB1.example.com", "*.Example.com"]
    min_tls_version = "1.3"
    unsafe_allow_plaintext = false
    plaintext_cancel = false
    proxy_protocol_from = ["10.0.0.0/8", "2001:DB8::7"]
    startup_timeout = "500ms"
    max_connections = 100
    idle_timeout = "5m"
    [proxy.backend]
    address = "/run/postgresql/.s.PGSQL.5432"
    root_ca = "b.pem"
    tls_verify = "ca"
    server_name = "DB.internal"
    negotiation = "direct"
    connect_timeout = "1h"
    client_cert = "p.pem"
    client_key = "p.key"

    [proxy.auth]
    mode = "scram"
    auth_file = "users.txt"
    authentication_timeout = "5s"

    [[proxy.allow]]
    client_cert_cn = "/(.*)/"
    client_address = ["10.0.0.0/8", "192.0.2.1"]
    users = '\\1'
    databases = ["a", "/b/"]
  `);
  assert.deepEqual(config, {
    file: "/etc/pgtls/pgtls.toml",
    logLevel: "trace",
    logFormat: "json",
    workers: 3,
    drainTimeoutMs: 0,
    admin: {
      bindAddress: { kind: "tcp", host: "10.0.0.1", port: 9432 },
      serverCert: "/etc/pgtls/a.pem",
      serverKey: "/abs/a.key",
      mtls: true,
      clientCa: "/etc/ca.pem",
    },
    routes: [{
      name: "orders",
      index: 0,
      app: "/etc/pgtls/policy.ts",
      appTimeoutMs: 1_000,
      allow: [{
        clientCertName: null,
        clientCertCn: [{ kind: "regex", parts: ["(.*)"], groups: 1 }],
        clientCertSan: null,
        clientAddress: ["10.0.0.0/8", "192.0.2.1/32"],
        users: [{ kind: "text", parts: ["", ""], groups: 0 }],
        databases: [{ kind: "text", parts: ["a"], groups: 0 }, { kind: "regex", parts: ["b"], groups: 0 }],
      }],
      listener: {
        bindAddress: { kind: "tcp", host: "::1", port: 0 },
        tlsEnabled: true,
        serverCert: "/etc/pgtls/s.pem",
        serverKey: "/etc/pgtls/s.key",
        mtls: "optional",
        clientCa: "/etc/pgtls/c.pem",
        clientCrl: "/etc/pgtls/c.crl",
        serverNames: ["db1.example.com", "*.example.com"],
        minTlsVersion: "1.3",
        unsafeAllowPlaintext: false,
        plaintextCancel: false,
        proxyProtocolFrom: ["10.0.0.0/8", "2001:db8::7/128"],
        startupTimeoutMs: 500,
        maxConnections: 100,
        idleTimeoutMs: 300_000,
      },
      backend: {
        address: { kind: "unix", path: "/run/postgresql/.s.PGSQL.5432" },
        tlsEnabled: true,
        rootCa: "/etc/pgtls/b.pem",
        tlsVerify: "ca",
        serverName: "db.internal",
        negotiation: "direct",
        connectTimeoutMs: 3_600_000,
        clientCert: "/etc/pgtls/p.pem",
        clientKey: "/etc/pgtls/p.key",
      },
      auth: { mode: "scram", authFile: "/etc/pgtls/users.txt", authenticationTimeoutMs: 5_000 },
    }],
  });
});

Deno.test("parseConfig leaves certificates and names null when TLS is off on both legs", () => {
  const [route] = parseText(toml({
    listener: 'bind_address = "127.0.0.1:6432"\ntls_enabled = false',
    backend: 'address = "db:5432"\ntls_enabled = false',
  })).routes;
  assert.equal(route?.listener.serverCert, null);
  assert.equal(route?.listener.serverKey, null);
  assert.equal(route?.backend.rootCa, null);
  assert.equal(route?.backend.serverName, null);
});

Deno.test('parseConfig keeps root_ca = "system" as it is, not as a path', () => {
  const [route] = parseText(toml({ backend: 'address = "db:5432"\nroot_ca = "system"' })).routes;
  assert.equal(route?.backend.rootCa, "system");
});

Deno.test("parseConfig takes the server name from an address of any form", () => {
  const names = ["10.0.0.7", "[2001:DB8:0::7]", "DB.example.com.", "db_1"].map((host) =>
    parseText(toml({ backend: `address = "${host}:5432"\nroot_ca = "ca.pem"` })).routes[0]?.backend.serverName
  );
  assert.deepEqual(names, ["10.0.0.7", "2001:db8::7", "db.example.com", "db_1"]);
});

Deno.test("parseConfig freezes everything it returns", () => {
  const pending: unknown[] = [parseText(toml({ admin: 'bind_address = "127.0.0.1:0"' }))];
  for (const value of pending) {
    if (typeof value !== "object" || value === null) continue;
    assert.ok(Object.isFrozen(value));
    pending.push(...Object.values(value));
  }
  assert.ok(pending.length > 40);
});

Deno.test("parseConfig reports twenty problems when a file has twenty mistakes", () => {
  const problems = problemsOf(`
    log_level = "verbose"
    log_format = 3
    workers = 0
    drain_timeout = 30
    loglevel = "info"

    [admin]
    bind_address = "0.0.0.0:9432"

    [[proxy]]
    name = "orders"
    app_timeout = "1s"

    [proxy.listener]
    bind_address = "run/pgtls.sock"
    server_key = "server.key"
    mtls = true
    min_tls_version = "1.1"
    startup_timeout = "0s"
    max_connections = -1

    [proxy.backend]
    address = "db.internal"
    root_ca = "system"
    tls_verify = "ca"
    client_cert = "proxy.pem"

    [[proxy]]
    name = "orders"

    [proxy.listener]
    bind_address = "127.0.0.1:5432"
    tls_enabled = false
    client_ca = "ca.pem"

    [proxy.backend]
    address = "localhost:5432"
  `);
  assert.deepEqual(problems.map(({ path }) => path), [
    "log_level",
    "log_format",
    "workers",
    "drain_timeout",
    "loglevel",
    "admin.bind_address",
    "proxy[0].app_timeout",
    "proxy[0].listener.bind_address",
    "proxy[0].listener.min_tls_version",
    "proxy[0].listener.startup_timeout",
    "proxy[0].listener.max_connections",
    "proxy[0].listener.server_cert",
    "proxy[0].listener.client_ca",
    "proxy[0].backend.address",
    "proxy[0].backend.tls_verify",
    "proxy[0].backend.client_key",
    "proxy[1].listener.client_ca",
    "proxy[1].backend.root_ca",
    "proxy[1].name",
    "proxy[1].backend.address",
  ]);
  assert.equal(problems.length, 20);
  const routes = problems.filter(({ path }) => path.startsWith("proxy")).map(({ route }) => route);
  assert.deepEqual(new Set(routes), new Set(["orders"]));
});

Deno.test("parseConfig throws nothing but ConfigError when given any value", () => {
  fc.assert(fc.property(fc.anything({ withDate: true, withNullPrototype: true }), throwsOnlyConfigError));
});

Deno.test("parseConfig throws nothing but ConfigError when known keys hold any value", () => {
  const value = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom("10s", "1.2", "a:1", "0.0.0.0:1", true, false, "system"),
  );
  const table = (keys: object) =>
    fc.dictionary(fc.constantFrom(...Object.keys(keys), ..."__proto__", "constructor"), value, {
      noNullPrototype: false,
    });
  const route = fc.record({ name: value, listener: table(listenerKeys), backend: table(backendKeys) }, {
    requiredKeys: ["listener", "backend"],
  });
  const file = fc.tuple(table(topLevelKeys), fc.option(table(adminKeys)), fc.array(route, { maxLength: 3 }));
  fc.assert(fc.property(file, ([top, admin, proxy]) => {
    throwsOnlyConfigError({ ...top, ...(admin === null ? {} : { admin }), proxy });
  }));
});

Deno.test("parseConfig accepts what it reports no problem for, whichever keys are combined", () => {
  const keys = fc.record({
    tls: fc.boolean(),
    mtls: fc.constantFrom(false, true, "optional"),
    ca: fc.boolean(),
    plaintext: fc.boolean(),
  });
  fc.assert(fc.property(keys, ({ tls, mtls, ca, plaintext }) => {
    const listener = [
      'bind_address = "127.0.0.1:0"',
      tls ? 'server_cert = "a"\nserver_key = "b"' : "tls_enabled = false",
      `mtls = ${JSON.stringify(mtls)}`,
      ca ? 'client_ca = "c"' : "",
      plaintext ? "unsafe_allow_plaintext = true" : "",
    ].join("\n");
    const isRight = tls && (mtls !== false) === ca && !(mtls === true && plaintext);
    assert.equal(problemsOf(toml({ listener })).length === 0, isRight);
  }));
});

function throwsOnlyConfigError(raw: unknown): void {
  try {
    parseConfig(raw, { file: "/etc/pgtls.toml" });
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    assert.ok(error.problems.length > 0);
  }
}
