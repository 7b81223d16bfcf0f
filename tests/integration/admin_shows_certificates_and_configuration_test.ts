/** /certificates and /config: where each certificate is used, and what is configured, without a secret in either. */
import assert from "node:assert/strict";
import { ask, askJson } from "../support/admin_client.ts";
import { closingLines } from "../support/closing_lines.ts";
import { makeCa, writeFiles } from "../support/pki.ts";
import { startAdminProxy } from "../support/proxy.ts";
import { startMutualTlsPostgres } from "../support/postgres.ts";
import { psql } from "../support/psql.ts";

const ca = makeCa({ name: "server CA" });
const intermediate = ca.issueCa({ name: "server intermediate" });
const server = intermediate.issue({ name: "localhost", purpose: "server", sans: ["localhost", "127.0.0.1"] });
const clientCa = makeCa({ name: "client CA" });
const alice = clientCa.issue({
  name: "alice",
  purpose: "client",
  notAfter: new Date(Date.now() + 5 * 86_400_000),
});
const TLS = { server_cert: server.chainPem, server_key: server.keyPem };
const MUTUAL = { ...TLS, mtls: true, client_ca: clientCa.certPem };

Deno.test("/certificates names every certificate, its uses, and what backend and client have shown", async () => {
  await using postgres = await startMutualTlsPostgres();
  await using proxy = await startAdminProxy(TLS, {
    name: "orders",
    listener: MUTUAL,
    backend: {
      address: `127.0.0.1:${postgres.port}`,
      root_ca: postgres.ca.certPem,
      client_cert: postgres.client.chainPem,
      client_key: postgres.client.keyPem,
    },
  });
  const files = await writeFiles(proxy.dir, { "alice.pem": alice.chainPem, "alice.key": alice.keyPem });
  const connection = `host=127.0.0.1 port=${proxy.ports[0]} user=alice dbname=demo sslmode=require ` +
    `sslcert=${files["alice.pem"]} sslkey=${files["alice.key"]}`;
  assert.equal((await psql(connection, { args: ["-c", "SELECT 1"] })).stdout, "1\n");
  await closingLines(proxy);

  const { certificates } = await askJson(proxy.adminPort, "/certificates", { ca: ca.certPem });
  const uses = Object.fromEntries(certificates.map((each: Listed) => [
    each.subject,
    each.used.map(({ route, use }) => `${route} ${use}`),
  ]));
  assert.deepEqual(uses, {
    "CN=alice": ["orders client_seen"],
    "CN=localhost": uses["CN=localhost"],
    "CN=server intermediate": ["null admin", "orders listener"],
    "CN=client CA": ["orders client_ca"],
    "CN=backend CA": ["orders root_ca"],
    "CN=pgtls": ["orders client_cert"],
  });
  const own = certificates.find((each: Listed) => each.sans.length === 2 && each.used.length === 2);
  assert.deepEqual(own.used.map(({ use }: { use: string }) => use), ["admin", "listener"]);
  assert.deepEqual(own.sans, ["DNS:localhost", "IP:127.0.0.1"]);
  assert.equal(own.issuer, "CN=server intermediate");
  assert.match(own.used[1].file, /route0-listener-server_cert\.pem$/);
  const [first] = certificates;
  assert.equal(first.subject, "CN=alice");
  assert.ok(Date.now() - Date.parse(first.used[0].last_seen) < 60_000);
  const backend = certificates.find((each: Listed) => each.used[0]?.use === "backend_seen");
  assert.equal(backend.issuer, "CN=backend CA");
  const ends = certificates.map(({ not_after }: Listed) => Date.parse(not_after));
  assert.deepEqual(ends, ends.toSorted((a: number, b: number) => a - b));
});

Deno.test("/config is the configuration with its defaults, in the words of the file, and holds no key", async () => {
  await using proxy = await startAdminProxy(TLS, {
    name: "orders",
    listener: MUTUAL,
    backend: { address: "[::1]:5433", tls_enabled: false },
    keys: { allow: [{ client_cert_cn: "/(.*)/", users: ["\\1", "/\\1_ro/"], client_address: "10.0.0.0/8" }] },
  });
  const { text } = await ask(proxy.adminPort, "/config", { ca: ca.certPem });
  const config = JSON.parse(text);
  const [route] = config.proxy;
  assert.equal(route.name, "orders");
  assert.equal(route.listener.bind_address, "127.0.0.1:0");
  assert.equal(route.listener.startup_timeout_ms, 10_000);
  assert.equal(route.listener.mtls, true);
  assert.match(route.listener.server_key, /route0-listener-server_key\.pem$/);
  assert.equal(route.backend.address, "[::1]:5433");
  const { client_cert_cn, users, client_address, databases } = route.allow[0];
  assert.deepEqual([client_cert_cn, users, client_address, databases], [
    ["/(.*)/"],
    ["\\1", "/\\1_ro/"],
    ["10.0.0.0/8"],
    null,
  ]);
  assert.match(config.admin.server_cert, /admin-server_cert\.pem$/);
  assert.doesNotMatch(text, /BEGIN|PRIVATE/);
  const secret = server.keyPem.split("\n")[1]!;
  for (const path of ["/config", "/certificates", "/connections", "/metrics", "/tls", "/readyz"]) {
    assert.ok(!(await ask(proxy.adminPort, path, { ca: ca.certPem })).text.includes(secret), path);
  }
});

interface Listed {
  readonly subject: string;
  readonly sans: readonly string[];
  readonly not_after: string;
  readonly used: readonly { readonly route: string | null; readonly use: string }[];
}
