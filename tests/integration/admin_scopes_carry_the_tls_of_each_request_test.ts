/** `/tls` echoes `extensions.tls` of the request: by https and wss what the client presented, by http and ws nothing. */
import assert from "node:assert/strict";
import { askJson, openSocket, opensslGet, type RequestOptions } from "../support/admin_client.ts";
import { run } from "../support/process.ts";
import { type Leaf, makeCa } from "../support/pki.ts";
import { startAdminProxy } from "../support/proxy.ts";
import { sClient } from "../support/s_client.ts";
import { temporaryFile } from "../support/admin_client.ts";
import { routeTo } from "../support/two_legs.ts";

const ca = makeCa({ name: "admin CA" });
const server = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost"] });
const clientCa = makeCa({ name: "client CA" });
const intermediate = clientCa.issueCa({ name: 'teams, "ops"' });
const client = intermediate.issue({ name: "alice + bob", purpose: "client" });
const stranger = makeCa({ name: "another CA" }).issue({ name: "mallory", purpose: "client" });

const TLS = { server_cert: server.chainPem, server_key: server.keyPem };
const OPTIONAL = { ...TLS, mtls: "optional", client_ca: clientCa.certPem };

Deno.test("https and wss scopes carry the six keys, equal to what client and server presented", async () => {
  await using proxy = await startAdminProxy(OPTIONAL, routeTo(1, "clear"));
  for (const leaf of [client, undefined]) {
    const records = await bothWays(proxy.adminPort, { ca: ca.certPem, ...(leaf && { leaf }) });
    for (const record of records) {
      assert.deepEqual(Object.keys(record).sort(), KEYS);
      assert.equal(await fingerprint(record.server_cert as string), await fingerprint(server.certPem));
      const chain = record.client_cert_chain as string[];
      assert.deepEqual(await Promise.all(chain.map(fingerprint)), await fingerprints(leaf));
      assert.equal(record.client_cert_name, leaf ? await subject(leaf) : null);
      assert.equal(record.client_cert_error, null);
      assert.equal(record.tls_version, 0x0304);
    }
  }
});

Deno.test("https scopes name the TLS version and cipher suite that openssl agreed on", async () => {
  await using proxy = await startAdminProxy(TLS, routeTo(1, "clear"));
  for (const [args, version, suite] of SUITES) {
    const record = JSON.parse((await opensslGet(proxy.adminPort, "/tls", args)).body);
    assert.deepEqual([record.tls_version, record.cipher_suite], [version, suite], args.join(" "));
  }
});

Deno.test("a refused certificate under mtls = optional is reported as its error, and the request is served", async () => {
  await using proxy = await startAdminProxy(OPTIONAL, routeTo(1, "clear"));
  for (const record of await bothWays(proxy.adminPort, { ca: ca.certPem, leaf: stranger })) {
    assert.match(String(record.client_cert_error), /another CA|issuer/);
    assert.equal(record.client_cert_name, "CN=mallory");
  }
});

Deno.test("http and ws scopes have no TLS record", async () => {
  await using proxy = await startAdminProxy({}, routeTo(1, "clear"));
  assert.deepEqual(await bothWays(proxy.adminPort, {}), [null, null]);
});

Deno.test("a server that asks for no certificate reports none, whatever session is resumed on it", async () => {
  await using files = await temporaryFile();
  await using proxy = await startAdminProxy(TLS, {
    listener: { ...TLS, mtls: true, client_ca: clientCa.certPem },
    backend: { address: "127.0.0.1:1", tls_enabled: false },
  });
  await sClient(proxy.ports[0]!, { leaf: client, sessionOut: files.path });
  const { stdout, body } = await opensslGet(proxy.adminPort, "/tls", ["-sess_in", files.path]);
  assert.match(stdout, /^Reused, TLSv1/m);
  assert.deepEqual(JSON.parse(body).client_cert_chain, []);
});

type TlsRecord = Record<string, unknown>;

/** The record by HTTP and by WebSocket, whose one message is followed by a close. */
async function bothWays(port: number, options: RequestOptions): Promise<TlsRecord[]> {
  const byHttp = await askJson(port, "/tls", options);
  using socket = openSocket(port, "/tls", options);
  assert.equal(await socket.opened, 101);
  assert.equal(await socket.closed, 1000);
  assert.equal(socket.messages.length, 1);
  const bySocket = JSON.parse(socket.messages[0]!);
  return [byHttp, bySocket];
}

async function fingerprint(pem: string): Promise<string> {
  const { stdout } = await run("openssl", ["x509", "-noout", "-fingerprint", "-sha256"], { input: pem });
  assert.match(stdout, /Fingerprint=/);
  return stdout;
}

async function fingerprints(leaf: Leaf | undefined): Promise<string[]> {
  const pems = leaf?.chainPem.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? [];
  return await Promise.all(pems.map(fingerprint));
}

async function subject(leaf: Leaf): Promise<string> {
  const args = ["x509", "-noout", "-subject", "-nameopt", "RFC2253,-esc_msb"];
  const { stdout } = await run("openssl", args, { input: leaf.certPem });
  return stdout.replace(/^subject=/, "").trimEnd();
}

/** The six keys of the PAGI TLS extension. */
const KEYS = [
  "cipher_suite",
  "client_cert_chain",
  "client_cert_error",
  "client_cert_name",
  "server_cert",
  "tls_version",
];

const SUITES = [
  [["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"], 0x0304, 0x1301],
  [["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"], 0x0304, 0x1303],
  [["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], 0x0303, 0xc02b],
  [["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"], 0x0303, 0xcca9],
] as const;
