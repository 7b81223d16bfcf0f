import assert from "node:assert/strict";
import { join } from "node:path";
import { runCerts } from "../../src/cli/certs.ts";
import { makeDevelopmentPki } from "../../src/demo/certificates.ts";
import { psqlCommand } from "../../src/demo/psql_command.ts";
import { run } from "../support/process.ts";

Deno.test("makeDevelopmentPki() makes chains that openssl verifies for their purpose", async () => {
  await using temp = await tempDir();
  const hosts = ["db.example.com", "*.db.example.com", "10.1.2.3", "::1"];
  const { ca, server, clients } = await makeDevelopmentPki({
    dir: temp.dir,
    hosts,
    clients: ["alice", "bob"],
  });
  const verify = async (cert: string, ...args: string[]) =>
    (await run("openssl", ["verify", "-x509_strict", "-CAfile", ca.cert, ...args, cert])).code;
  for (const name of ["db.example.com", "a.db.example.com"]) {
    assert.equal(await verify(server.cert, "-purpose", "sslserver", "-verify_hostname", name), 0, name);
  }
  for (const address of ["10.1.2.3", "::1"]) {
    assert.equal(await verify(server.cert, "-purpose", "sslserver", "-verify_ip", address), 0, address);
  }
  assert.notEqual(await verify(server.cert, "-verify_hostname", "other.example.com"), 0);
  assert.notEqual(await verify(server.cert, "-purpose", "sslclient"), 0);
  for (const client of clients) {
    assert.equal(await verify(client.cert, "-purpose", "sslclient"), 0, client.name);
    assert.notEqual(await verify(client.cert, "-purpose", "sslserver"), 0, client.name);
  }
});

Deno.test("makeDevelopmentPki() writes the extensions RFC 5280 asks for", async () => {
  await using temp = await tempDir();
  const { ca, server } = await makeDevelopmentPki({ dir: temp.dir, hosts: ["localhost"], clients: [] });
  const show = async (cert: string) =>
    (await run("openssl", ["x509", "-noout", "-text", "-in", cert])).stdout;
  const [caText, serverText] = [await show(ca.cert), await show(server.cert)];
  assert.match(caText, /Version: 3/);
  assert.match(caText, /Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
  assert.match(caText, /Key Usage: critical\s+Certificate Sign, CRL Sign\n/);
  assert.match(caText, /Subject Key Identifier/);
  assert.match(serverText, /Version: 3/);
  assert.match(serverText, /Basic Constraints: critical\s+CA:FALSE/);
  assert.match(serverText, /Key Usage: critical\s+Digital Signature\n/);
  assert.match(serverText, /Extended Key Usage:\s+TLS Web Server Authentication\n/);
  assert.match(serverText, /Subject Alternative Name:\s+DNS:localhost\n/);
  const keyId = (text: string, extension: string) =>
    text.match(new RegExp(`${extension}:\\s+([0-9A-F:]+)`))?.[1];
  assert.equal(keyId(serverText, "Authority Key Identifier"), keyId(caText, "Subject Key Identifier"));
});

Deno.test("makeDevelopmentPki() makes certificates that are valid already and for 825 days", async () => {
  await using temp = await tempDir();
  const { server, ca } = await makeDevelopmentPki({ dir: temp.dir, hosts: ["localhost"], clients: [] });
  const isValidAt = async (date: Date, cert = server.cert) => {
    const seconds = String(Math.floor(date.getTime() / 1000));
    return (await run("openssl", ["verify", "-attime", seconds, "-CAfile", ca.cert, cert])).code === 0;
  };
  const inDays = (days: number) => new Date(Date.now() + days * 24 * 60 * 60 * 1000);
  assert.ok(await isValidAt(inDays(-0.9)));
  assert.ok(await isValidAt(inDays(824)));
  assert.ok(!await isValidAt(inDays(826)));
  assert.ok(await isValidAt(inDays(3649), ca.cert));
});

Deno.test("makeDevelopmentPki() opens keys to their owner only, as PKCS#8", async () => {
  await using temp = await tempDir();
  const pki = await makeDevelopmentPki({ dir: temp.dir, hosts: ["localhost"], clients: ["alice"] });
  for (const { cert, key } of [pki.ca, pki.server, ...pki.clients]) {
    assert.equal(modeOf(key), 0o600, key);
    assert.equal(modeOf(cert) & 0o600, 0o600, cert);
    assert.equal(modeOf(cert) & 0o033, 0, cert);
    assert.match(await Deno.readTextFile(key), /^-----BEGIN PRIVATE KEY-----\n/);
    const publicKey = (await run("openssl", ["pkey", "-in", key, "-pubout"])).stdout;
    assert.equal((await run("openssl", ["x509", "-in", cert, "-noout", "-pubkey"])).stdout, publicKey);
  }
});

Deno.test("makeDevelopmentPki() overwrites nothing and names every file in its way", async () => {
  await using temp = await tempDir();
  await Deno.writeTextFile(join(temp.dir, "server.key"), "precious");
  await Deno.symlink("nowhere", join(temp.dir, "alice.pem"));
  await assert.rejects(
    makeDevelopmentPki({ dir: temp.dir, hosts: ["localhost"], clients: ["alice"] }),
    /already has "server\.key", "alice\.pem"/,
  );
  assert.equal(await Deno.readTextFile(join(temp.dir, "server.key")), "precious");
  assert.deepEqual([...Deno.readDirSync(temp.dir)].map(({ name }) => name).sort(), [
    "alice.pem",
    "server.key",
  ]);
});

Deno.test("makeDevelopmentPki() refuses names that are no host, or no file of their own", async () => {
  await using temp = await tempDir();
  const make = (hosts: string[], clients: string[]) => makeDevelopmentPki({ dir: temp.dir, hosts, clients });
  for (const host of ["", "a b", "a..b", "-a", "https://a", "a*.b", "a".repeat(254)]) {
    await assert.rejects(make([host], []), RangeError, host);
  }
  for (const client of ["", "../alice", "a/b", "a\nb", "CN=a", "ca", "Server", "a".repeat(65)]) {
    await assert.rejects(make(["localhost"], [client]), RangeError, client);
  }
  await assert.rejects(make(["localhost"], ["alice", "ALICE"]), /written twice/);
  await assert.rejects(make([], []), RangeError);
  assert.deepEqual([...Deno.readDirSync(temp.dir)], []);
});

Deno.test("runCerts() prints TOML lines and a psql command with the paths it wrote", async () => {
  await using temp = await tempDir();
  const { exitCode, output } = await capture(() =>
    runCerts({ dir: temp.dir, host: ["db"], client: ["alice"] })
  );
  assert.equal(exitCode, 0);
  assert.ok(output.includes(`server_key = "${join(temp.dir, "server.key")}"`));
  assert.ok(output.includes(`client_ca = "${join(temp.dir, "ca.pem")}"`));
  assert.match(output, /^psql "host=db .*sslkey=.*alice\.key"$/m);
});

Deno.test("runCerts() has defaults, exit code 1 when files are in the way and 2 for a wrong name", async () => {
  await using temp = await tempDir();
  const dir = join(temp.dir, "new", "folder");
  assert.equal((await capture(() => runCerts({ dir }))).exitCode, 0);
  assert.ok(Deno.statSync(join(dir, "client.pem")).isFile);
  const again = await capture(() => runCerts({ dir }));
  assert.equal(again.exitCode, 1);
  assert.match(again.output, /Cannot write certificates/);
  assert.equal((await capture(() => runCerts({ dir, host: ["a b"] }))).exitCode, 2);
});

Deno.test("psqlCommand() survives the shell whatever is in a value", async () => {
  for (const value of ["plain", "a b", "it's", 'say "x"', "back\\slash", "$HOME", "`id`", "!1"]) {
    const command = psqlCommand({ application_name: value, port: 1 });
    const words = await run("sh", ["-c", `psql() { printf '%s\\n' "$1"; }; ${command}`]);
    const quoted = words.stdout.match(/^application_name=(.*) port=1\n$/s)?.[1] ?? "";
    const parsed = quoted.startsWith("'") ? quoted.slice(1, -1).replace(/\\(.)/gs, "$1") : quoted;
    assert.equal(parsed, value);
  }
});

async function tempDir(): Promise<{ dir: string } & AsyncDisposable> {
  const dir = await Deno.makeTempDir({ prefix: "pgtls-certs-" });
  return { dir, [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }) };
}

function modeOf(path: string): number {
  return (Deno.statSync(path).mode ?? 0) & 0o777;
}

/** Runs a command with its output collected. */
async function capture(command: () => Promise<number>): Promise<{ exitCode: number; output: string }> {
  const { log, error } = console;
  let output = "";
  console.log = console.error = (text: string) => output += `${text}\n`;
  try {
    return { exitCode: await command(), output };
  } finally {
    Object.assign(console, { log, error });
  }
}
