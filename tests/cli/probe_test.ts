/** `pgtls check --probe` and `pgtls inspect` against real PostgreSQL. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { stringify } from "smol-toml";
import { makeCa, writeFiles } from "../support/pki.ts";
import { startPlainPostgres, startTlsPostgres, type TlsPostgres } from "../support/postgres.ts";
import { pgtls } from "../support/pgtls.ts";
import { run } from "../support/process.ts";
import { formatVerifier, makeVerifier } from "../support/scram.ts";

Deno.test("pgtls check --probe says per route what clients will see, and ends with 1 if a backend fails", async () => {
  await using plain = await startPlainPostgres();
  await using tls = await startTlsPostgres();
  await using folder = await probeFolder(tls, plain.port);
  const { code, stdout, stderr } = await pgtls("check", "--probe", "-c", folder.config);
  assert.equal(code, 1, stderr);
  const [, good, same, wrongCa, noTls, gone, plaintext, scram, unbound, password] = stdout.split(
    /^proxy\[\d\]/m,
  );
  assert.match(good!, /backend 127\.0\.0\.1:\d+: ok\n {2}TLS 1\.3, cipher suite 0x1302, ALPN postgresql\n/);
  assert.match(good!, /passwords pass through\. SCRAM: a default psql is refused \(28000\)/);
  assert.match(same!, /SCRAM: works, with channel binding/);
  assert.match(
    wrongCa!,
    /backend_untrusted[^]*clients will see: FATAL: backend is not trusted \(SQLSTATE 08001\)/,
  );
  assert.match(noTls!, /backend_tls_refused[^]*answered N to SSLRequest[^]*SQLSTATE 08001/);
  assert.match(gone!, /backend_unreachable[^]*ECONNREFUSED[^]*SQLSTATE 08001/);
  assert.match(
    plaintext!,
    /ok\n {2}connected in plaintext[^]*SCRAM: works, without channel binding/,
  );
  assert.match(
    scram!,
    /passwords \(scram, 1 user\): work, clients bound to the listener's certificate, the backend login bound/,
  );
  assert.match(unbound!, /clients unbound \(they come in plaintext\), the backend login bound/);
  assert.match(
    password!,
    /passwords \(password\): work, asked for inside the client's TLS and the backend login bound/,
  );
});

Deno.test("pgtls inspect prints the record, every certificate as PEM, and the verdict", async () => {
  await using server = await startTlsPostgres();
  await using folder = await probeFolder(server, 1);
  const target = `127.0.0.1:${server.port}`;
  const plain = await pgtls("inspect", target);
  assert.equal(plain.code, 0, plain.stderr);
  assert.match(plain.stdout, /TLS 1\.3, cipher suite 0x1302, ALPN postgresql/);
  assert.match(plain.stdout, /verification: not asked for/);
  const seen = await run("openssl", ["x509", "-outform", "PEM"], { input: plain.stdout });
  assert.ok(plain.stdout.includes(seen.stdout), "expected the PEM that openssl writes");

  const verified = await pgtls("inspect", target, "--ca", folder.ca);
  assert.deepEqual([verified.code, /verification: verified/.test(verified.stdout)], [0, true]);
  const direct = await pgtls("inspect", target, "--direct", "--ca", folder.ca);
  assert.deepEqual([direct.code, /verification: verified/.test(direct.stdout)], [0, true]);
  const wrongName = await pgtls("inspect", target, "--ca", folder.ca, "--server-name", "db.example");
  assert.equal(wrongName.code, 1);
  assert.match(wrongName.stdout, /verification: not verified \(name_mismatch\): .*expected "db\.example"/);
});

Deno.test("pgtls inspect --json prints the six keys of the TLS record", async () => {
  await using server = await startTlsPostgres();
  const { code, stdout } = await pgtls("inspect", `127.0.0.1:${server.port}`, "--json");
  assert.equal(code, 0);
  const { tls, server_cert_chain, verdict } = JSON.parse(stdout);
  assert.deepEqual(Object.keys(tls).sort(), [
    "cipher_suite",
    "client_cert_chain",
    "client_cert_error",
    "client_cert_name",
    "server_cert",
    "tls_version",
  ]);
  assert.deepEqual([tls.tls_version, tls.cipher_suite, tls.client_cert_chain, verdict], [
    0x0304,
    0x1302,
    [],
    null,
  ]);
  assert.equal(server_cert_chain[0], tls.server_cert);
});

Deno.test("pgtls inspect says why it could not, in one line", async () => {
  await using plain = await startPlainPostgres();
  const cases: [args: string[], says: RegExp, exitCode?: number][] = [
    [["127.0.0.1:1"], /^Could not inspect "127\.0\.0\.1:1": Could not connect.*ECONNREFUSED.*\n$/],
    [
      [`127.0.0.1:${plain.port}`],
      /^Could not inspect .*does not offer TLS \(it answered N to SSLRequest\)\n$/,
    ],
    [
      [`127.0.0.1:${plain.port}`, "--ca", "/nonexistent.pem"],
      /^Cannot use --ca: Cannot read file "\/nonexistent\.pem".*\n$/,
      2,
    ],
  ];
  for (const [args, says, exitCode = 1] of cases) {
    const { code, stderr } = await pgtls("inspect", ...args);
    assert.equal(code, exitCode);
    assert.match(stderr, says);
  }
});

async function probeFolder(tls: TlsPostgres, plainPort: number) {
  const dir = await Deno.makeTempDir({ prefix: "pgtls-probe-" });
  const ca = makeCa({ name: "other CA" });
  const leaf = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost"] });
  const { "backend.pem": trusted } = await writeFiles(dir, {
    "own.pem": leaf.chainPem,
    "own.key": leaf.keyPem,
    "same.pem": tls.certificate.chainPem,
    "same.key": tls.certificate.keyPem,
    "backend.pem": tls.ca.certPem,
    "other.pem": ca.certPem,
    "users.txt": `"alice" "${formatVerifier(await makeVerifier("secret"))}"\n`,
  });
  const listener = (name: string) => ({
    bind_address: "127.0.0.1:0",
    server_cert: `${name}.pem`,
    server_key: `${name}.key`,
  });
  const address = `127.0.0.1:${tls.port}`;
  const proxy = [
    { listener: listener("own"), backend: { address, root_ca: "backend.pem" } },
    { listener: listener("same"), backend: { address, root_ca: "backend.pem" } },
    { listener: listener("own"), backend: { address, root_ca: "other.pem" } },
    { listener: listener("own"), backend: { address: `127.0.0.1:${plainPort}`, root_ca: "backend.pem" } },
    { listener: listener("own"), backend: { address: "127.0.0.1:1", tls_enabled: false } },
    { listener: listener("own"), backend: { address: `127.0.0.1:${plainPort}`, tls_enabled: false } },
    { listener: listener("own"), backend: { address, root_ca: "backend.pem" }, auth: SCRAM },
    {
      listener: { bind_address: "127.0.0.1:0", tls_enabled: false },
      backend: { address, root_ca: "backend.pem" },
      auth: SCRAM,
    },
    { listener: listener("own"), backend: { address, root_ca: "backend.pem" }, auth: { mode: "password" } },
  ];
  const config = join(dir, "pgtls.toml");
  await Deno.writeTextFile(config, stringify({ proxy }));
  return { config, ca: trusted, [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }) };
}

const SCRAM = { mode: "scram", auth_file: "users.txt" };
