/** sslmode × (TLS required, plaintext allowed) × kind of backend, with real psql against real PostgreSQL 18. */
import assert from "node:assert/strict";
import { makeCa } from "../support/pki.ts";
import { startEitherPostgres, startMutualTlsPostgres, startPlainPostgres } from "../support/postgres.ts";
import { psql, psql18 } from "../support/psql.ts";
import { listenerKeys, type RouteTables, startTestProxy } from "../support/proxy.ts";

const SSL_MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const;
const ca = makeCa({ name: "proxy CA" });
const leaf = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost", "127.0.0.1"] });

/** The TLS state of the session's own backend connection, as PostgreSQL sees it. */
const SEEN_BY_BACKEND = "SELECT ssl, version, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

Deno.test("psql gets through with every sslmode that the listener allows, to every kind of backend", async (t) => {
  await using plain = await startPlainPostgres();
  await using either = await startEitherPostgres();
  await using mutual = await startMutualTlsPostgres();
  const trusted = { root_ca: either.ca.certPem };
  const backends = {
    "plaintext backend": { backend: { address: `127.0.0.1:${plain.port}`, tls_enabled: false }, seen: "f||" },
    "TLS backend": { backend: { address: `127.0.0.1:${either.port}`, ...trusted }, seen: "t|TLSv1.3|" },
    "direct TLS backend": {
      backend: { address: `127.0.0.1:${either.port}`, ...trusted, negotiation: "direct" },
      seen: "t|TLSv1.3|",
    },
    "TLS backend that demands a client certificate": {
      backend: {
        address: `127.0.0.1:${mutual.port}`,
        root_ca: mutual.ca.certPem,
        client_cert: mutual.client.certPem,
        client_key: mutual.client.keyPem,
      },
      seen: "t|TLSv1.3|/CN=pgtls",
    },
  };
  for (const [kind, { backend, seen }] of Object.entries(backends)) {
    for (const unsafe_allow_plaintext of [false, true]) {
      const listener = { ...listenerKeys(leaf), unsafe_allow_plaintext };
      const policy = unsafe_allow_plaintext ? "plaintext allowed" : "TLS required";
      await t.step(`${kind}, ${policy}`, () => checkModes({ listener, backend }, seen));
    }
  }
});

async function checkModes(route: RouteTables, seen: string): Promise<void> {
  await using proxy = await startTestProxy(route);
  const isPlaintextAllowed = route.listener.unsafe_allow_plaintext === true;
  const rootCert = `${proxy.dir}/ca.pem`;
  await Deno.writeTextFile(rootCert, ca.certPem);
  const connection = `host=localhost hostaddr=127.0.0.1 port=${
    proxy.ports[0]
  } user=alice dbname=demo sslrootcert=${rootCert}`;
  for (const sslmode of SSL_MODES) {
    const { code, stdout, stderr } = await psql(`${connection} sslmode=${sslmode}`, {
      args: ["-c", SEEN_BY_BACKEND],
    });
    if (sslmode === "disable" && !isPlaintextAllowed) {
      assert.equal(code, 2, stderr);
      assert.match(stderr, /FATAL: {2}TLS is required\nHINT: {2}Connect with sslmode=require/);
      continue;
    }
    assert.equal(code, 0, `${sslmode}: ${stderr}`);
    assert.equal(stdout.trim(), seen, sslmode);
  }
  const direct = await psql18(`${connection} sslmode=verify-full sslnegotiation=direct`, {
    args: ["-c", SEEN_BY_BACKEND],
  });
  assert.equal(direct.code, 0, direct.stderr);
  assert.equal(direct.stdout.trim(), seen);
  const wrongName = await psql(
    `${connection.replace("host=localhost", "host=db.example")} sslmode=verify-full`,
  );
  assert.match(wrongName.stderr, /does not match host name "db.example"/);
}
