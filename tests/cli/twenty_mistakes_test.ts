/** One file with twenty mistakes, of the configuration and of the files it names: twenty messages, exit code 2. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { makeCa, writeFiles } from "../support/pki.ts";
import { pgtls } from "../support/pgtls.ts";
import { run } from "../support/process.ts";

const CONFIG = `
drain_timeout = 30
loglevel = "info"

[[proxy]]
name = "orders"
app_timeout = "1s"
[proxy.listener]
bind_address = "6432"
server_cert = "gone.pem"
server_key = "server.key"
mtls = true
max_connections = -1
[proxy.backend]
address = "db.internal"
root_ca = "empty.pem"
client_cert = "proxy.pem"

[[proxy]]
name = "billing"
[proxy.listener]
bind_address = "127.0.0.1:6433"
server_cert = "server.pem"
server_key = "other.key"
mtls = "optional"
client_ca = "not-pem.pem"
startup_timeout = "0s"
[proxy.backend]
address = "db.internal:5432"
tls_verify = "none"

[[proxy]]
name = "reports"
[proxy.listener]
bind_address = "127.0.0.1:6434"
server_cert = "expired.pem"
server_key = "expired.key"
[proxy.backend]
address = "db.internal:5433"
root_ca = "ca.pem"
client_cert = "proxy.pem"
client_key = "encrypted.key"

[[proxy]]
name = "orders"
[proxy.listener]
bind_address = "127.0.0.1:6433"
server_cert = "server.pem"
server_key = "server.key"
[proxy.backend]
address = "127.0.0.1:6433"
tls_enabled = false
`;

const EXPECTED: readonly (readonly [path: string, says: RegExp])[] = [
  ["drain_timeout", /expected a duration/],
  ["loglevel", /did you mean "log_level"/],
  ["proxy[0].app_timeout", /Cannot use without an app: expected app, or this key to be absent/],
  ["proxy[0].listener.bind_address", /"6432": expected/],
  ["proxy[0].listener.max_connections", /-1/],
  ["proxy[0].listener.client_ca", /mtls/],
  ["proxy[0].backend.address", /"db\.internal": expected/],
  ["proxy[0].backend.client_key", /client_cert/],
  ["proxy[1].listener.startup_timeout", /0s/],
  ["proxy[1].backend.tls_verify", /"none": expected/],
  ["proxy[1].backend.root_ca", /missing/],
  ["proxy[3].name", /"orders" again/],
  ["proxy[3].listener.bind_address", /again: route "billing"/],
  ["proxy[3].backend.address", /this route listens on/],
  ["proxy[0].listener.server_cert", /gone\.pem.*does not exist/],
  ["proxy[0].backend.root_ca", /empty\.pem/],
  ["proxy[1].listener.server_key", /does not belong to the certificate/],
  ["proxy[1].listener.client_ca", /not-pem\.pem/],
  ["proxy[2].listener.server_cert", /expired/],
  ["proxy[2].backend.client_key", /encrypted.*openssl/],
];

Deno.test("pgtls check names every mistake of the configuration and of its files in one run, with exit code 2", async () => {
  const dir = await Deno.makeTempDir({ prefix: "pgtls-mistakes-" });
  try {
    await writeMaterial(dir);
    const { code, stdout, stderr } = await pgtls("check", "-c", join(dir, "pgtls.toml"));
    assert.equal(code, 2);
    assert.equal(stdout, "");
    const [headline, ...lines] = stderr.trimEnd().split("\n");
    assert.match(headline!, /: 20 problems$/, stderr);
    assert.equal(lines.length, EXPECTED.length, stderr);
    for (const [i, [path, says]] of EXPECTED.entries()) {
      assert.ok(lines[i]!.startsWith(`  ${path}`), `${i}: ${lines[i]}`);
      assert.match(lines[i]!, says);
      if (path.startsWith("proxy")) assert.match(lines[i]!, / \(route "(orders|billing|reports)"\): /);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

async function writeMaterial(dir: string): Promise<void> {
  const ca = makeCa({ name: "CA" });
  const server = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost"] });
  const proxy = ca.issue({ name: "pgtls", purpose: "client" });
  const expired = ca.issue({
    name: "old",
    purpose: "server",
    notBefore: new Date(0),
    notAfter: new Date(86_400_000),
  });
  const encrypted = await run("openssl", ["pkcs8", "-topk8", "-passout", "pass:secret"], {
    input: proxy.keyPem,
  });
  await writeFiles(dir, {
    "pgtls.toml": CONFIG,
    "ca.pem": ca.certPem,
    "empty.pem": "",
    "not-pem.pem": "not a certificate\n",
    "server.pem": server.chainPem,
    "server.key": server.keyPem,
    "other.key": proxy.keyPem,
    "expired.pem": expired.chainPem,
    "expired.key": expired.keyPem,
    "proxy.pem": proxy.chainPem,
    "encrypted.key": encrypted.stdout,
  });
}
