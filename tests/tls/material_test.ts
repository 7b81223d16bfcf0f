import assert from "node:assert/strict";
import { TrustStore } from "../../src/tls/trust_store.ts";
import { makeCa } from "../support/pki.ts";
import {
  attempt,
  client,
  CONFIG,
  emptyCrl,
  intermediate,
  LISTENER,
  load,
  other,
  pem,
  problems,
  root,
  server,
} from "./material_support.ts";

Deno.test("MaterialLoader returns chains, keys and policies when every file is right", () => {
  const { routes: [route], admin, warnings } = load();
  assert.deepEqual(warnings, []);
  assert.equal(admin, null);
  assert.equal(route?.listener?.certPem, server.chainPem);
  assert.equal(route?.listener?.keyPem, server.keyPem);
  assert.deepEqual(route?.listener?.leafDer, server.der);
  assert.deepEqual(route?.listener?.chainDer, [server.der, intermediate.der]);
  assert.equal(route?.listener?.clientPolicy.mtls, true);
  assert.equal(route?.listener?.clientPolicy.trust?.size, 1);
  assert.equal(route?.backend?.certPem, client.certPem);
  assert.equal(route?.backend?.keyPem, client.keyPem);
  assert.deepEqual(route?.backend?.chainDer, [client.der]);
  assert.equal(route?.backend?.policy.trust.size, 2);
  assert.equal(route?.backend?.policy.serverName, "db.internal");
  assert.equal(route?.backend?.policy.tlsVerify, "full");
});

Deno.test("MaterialLoader returns null for a leg without TLS", () => {
  const plain = '[[proxy]]\n[proxy.listener]\nbind_address = "[::1]:0"\ntls_enabled = false\n' +
    '[proxy.backend]\naddress = "db:1"\ntls_enabled = false\n';
  assert.deepEqual(load({}, { config: plain }).routes, [{ listener: null, backend: null }]);
});

Deno.test("MaterialLoader returns no certificate and no trust where the route has none", () => {
  const config = '[[proxy]]\n[proxy.listener]\nbind_address = "[::1]:0"\nserver_cert = "server.pem"\n' +
    'server_key = "server.key"\n[proxy.backend]\naddress = "db:1"\nroot_ca = "backend-ca.pem"\n';
  const [route] = load({}, { config }).routes;
  assert.deepEqual(route?.listener?.clientPolicy, { mtls: false, trust: null });
  assert.deepEqual([route?.backend?.certPem, route?.backend?.keyPem, route?.backend?.chainDer], [
    null,
    null,
    [],
  ]);
});

Deno.test("MaterialLoader loads the admin server's files and names its keys", () => {
  const config = CONFIG +
    '\n[admin]\nbind_address = "[::1]:1"\nserver_cert = "admin.pem"\nserver_key = "server.key"\n' +
    'mtls = true\nclient_ca = "client-ca.pem"\n';
  const { admin } = load({ "admin.pem": server.chainPem }, { config });
  assert.deepEqual(admin?.leafDer, server.der);
  assert.ok(admin?.clientPolicy.trust instanceof TrustStore);
  assert.deepEqual(problems({ "admin.pem": null }, { config }), [
    'admin.server_cert: Cannot read file "admin.pem": it does not exist',
  ]);
});

Deno.test("MaterialLoader reports every problem of every route in one run, in the order of the file", () => {
  const second = CONFIG.replace('name = "orders"', 'name = "billing"').replace(":1111", ":2222");
  const changed = {
    "server.pem": null,
    "server.key": "",
    "client-ca.pem": "none",
    "proxy.key": server.keyPem,
  };
  const paths = ["listener.server_cert", "listener.server_key", "listener.client_ca", "backend.client_key"];
  const found = problems(changed, { config: CONFIG + second }).map((line) =>
    line.slice(0, line.indexOf(": "))
  );
  assert.deepEqual(found, [
    ...paths.map((path) => `proxy[0].${path} (route "orders")`),
    ...paths.map((path) => `proxy[1].${path} (route "billing")`),
  ]);
});

Deno.test("MaterialLoader makes one trust store for the routes that share a bundle, but none for both directions", () => {
  const second = CONFIG.replace('name = "orders"', 'name = "billing"').replace(":1111", ":2222");
  const config = (CONFIG + second).replaceAll("backend-ca.pem", "client-ca.pem");
  const [one, two] = load({}, { config }).routes;
  assert.equal(one?.listener?.clientPolicy.trust, two?.listener?.clientPolicy.trust);
  assert.equal(one?.backend?.policy.trust, two?.backend?.policy.trust);
  assert.notEqual(one?.listener?.clientPolicy.trust, one?.backend?.policy.trust);
});

Deno.test("MaterialLoader refuses a directory, a device and a file of more than 10 MiB", () => {
  const at = (path: string) =>
    problems({}, { config: CONFIG.replace('"client-ca.pem"', JSON.stringify(path)) });
  const where = `${LISTENER}client_ca (route "orders"): Cannot read file`;
  assert.deepEqual(at("."), [`${where} ".": it is a directory, expected a file`]);
  assert.deepEqual(at("/dev/zero"), [
    `${where} "/dev/zero": it is a device, pipe or socket, expected a file`,
  ]);
  assert.deepEqual(problems({ "client-ca.pem": root.certPem + "#".repeat(10 * 1024 * 1024) }), [
    `${where} "client-ca.pem": it is too large, expected at most 10485760 bytes`,
  ]);
});

Deno.test("MaterialLoader refuses a file it has no permission to read", () => {
  assert.deepEqual(problems({}, { modes: { "server.key": 0 }, nobody: true }), [
    `${LISTENER}server_key (route "orders"): Cannot read file "server.key": permission denied`,
  ]);
});

Deno.test("MaterialLoader refuses a CA bundle without certificate, on both legs", () => {
  for (
    const [file, key] of [["client-ca.pem", `${LISTENER}client_ca`], [
      "backend-ca.pem",
      "proxy[0].backend.root_ca",
    ]] as const
  ) {
    for (const content of ["", "# none\n", server.keyPem, pem("CERTIFICATE", "AAAA"), server.der]) {
      const [line, ...more] = problems({ [file]: content });
      assert.match(line ?? "", new RegExp(`^${RegExp.escape(key)} \\(route "orders"\\): Cannot .*"${file}"`));
      assert.deepEqual(more, []);
    }
  }
});

Deno.test("MaterialLoader turns the notes of a CA bundle into warnings", () => {
  const leaf = root.issue({ name: "Pinned", purpose: "client" });
  const { warnings } = load({ "client-ca.pem": root.certPem + leaf.certPem });
  assert.deepEqual(warnings.map(({ path, route }) => [path, route]), [[
    "proxy[0].listener.client_ca",
    "orders",
  ]]);
  assert.match(
    warnings[0]?.message ?? "",
    /^In file ".*client-ca\.pem": certificate 2 .*Pinned.* is not a CA certificate/,
  );
});

Deno.test("MaterialLoader reads CRLs, and reports what is wrong with them at client_crl", () => {
  const config = CONFIG.replace("client_ca =", 'client_crl = "crl.pem"\nclient_ca =');
  const good = emptyCrl(root);
  const [route] = load({ "crl.pem": good }, { config }).routes;
  assert.ok(route?.listener?.clientPolicy.trust?.revocation);
  const where = `${LISTENER}client_crl (route "orders"): Cannot `;
  for (const content of [null, "", root.certPem, emptyCrl(other), pem("X509 CRL", "AAAA")]) {
    const lines = problems({ "crl.pem": content }, { config });
    assert.equal(lines.length, 1);
    assert.ok(lines[0]?.startsWith(where) && lines[0].includes('"crl.pem"'), lines[0]);
  }
  const expired = makeCa({ name: "Expired", notBefore: new Date(0), notAfter: new Date(1000) });
  const noted = load({ "crl.pem": good, "client-ca.pem": root.certPem + expired.certPem }, { config });
  assert.deepEqual(noted.warnings.map(({ path }) => path), ["proxy[0].listener.client_ca"]);
  const late = attempt({ "crl.pem": good }, { config, now: Date.now() + 8 * DAY_MS });
  assert.match(late.problems.join("\n"), /^proxy\[0\]\.listener\.client_crl .* ran out on/);
});

const DAY_MS = 24 * 60 * 60 * 1000;
