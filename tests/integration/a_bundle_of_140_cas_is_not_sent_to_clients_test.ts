/** Traps 4 and 5: the runtime appends the `ca` of a server to the chain it sends, and parses it for every connection. */
import assert from "node:assert/strict";
import { summarizeTls } from "../../src/tls/record.ts";
import { LET_IN, requiring, startNaiveServer } from "../support/naive_tls.ts";
import { type Ca, makeCa, writeFiles } from "../support/pki.ts";
import { startTlsPostgres } from "../support/postgres.ts";
import { psql } from "../support/psql.ts";
import { startTestProxy } from "../support/proxy.ts";
import { sClient } from "../support/s_client.ts";

const strangers = Array.from({ length: 139 }, (_, i) => makeCa({ name: `Stranger Root Authority R${i}` }));
const front = makeCa({ name: "front CA" });
const server = front.issue({ name: "localhost", purpose: "server", sans: ["localhost"] });
const clientCa = makeCa({ name: "client CA" });
const alice = clientCa.issue({ name: "alice", purpose: "client" });
const keys = { server_cert: server.chainPem, server_key: server.keyPem };

Deno.test("a bundle of 140 CAs on each leg works, and is not sent to clients", async (t) => {
  await using postgres = await startTlsPostgres();
  const backend = { address: `127.0.0.1:${postgres.port}`, root_ca: bundleOf(postgres.ca) };
  await using proxy = await startTestProxy(
    { listener: { ...keys, mtls: true, client_ca: clientCa.certPem }, backend },
    { listener: { ...keys, mtls: true, client_ca: bundleOf(clientCa) }, backend },
  );
  const [one, many] = proxy.ports as [number, number];

  await t.step("the runtime alone sends it all", async () => {
    await using naive = await startNaiveServer(server, requiring({ certPem: bundleOf(clientCa) }));
    const { certificates } = await sClient(naive.port, { starttls: false, until: LET_IN, leaf: alice });
    assert.ok(certificates > 140, `${certificates} certificates`);
  });
  for (const version of ["1.2", "1.3"] as const) {
    await t.step(`TLS ${version}: the handshake is as long as with one CA`, async () => {
      const seen = await Promise.all([one, many].map((port) => sClient(port, { version, leaf: alice })));
      assert.deepEqual(seen.map(({ ready, certificates }) => [ready, certificates]), [[true, 1], [true, 1]]);
      const [short, long] = seen.map(({ handshakeBytes }) => handshakeBytes) as [number, number];
      assert.ok(Math.abs(long - short) <= SIGNATURE_JITTER, `${short} bytes with one CA, ${long} with 140`);
      assert.ok(long < 2000, `${long} bytes`);
    });
  }
  await t.step("psql works", async () => {
    await proxy.closed(4);
    const files = { "ca.pem": front.certPem, "psql.crt": alice.chainPem, "psql.key": alice.keyPem };
    const paths = await writeFiles(proxy.dir, files);
    const target =
      `host=localhost hostaddr=127.0.0.1 port=${many} user=alice dbname=demo sslmode=verify-full`;
    const certificate = `sslcert=${paths["psql.crt"]} sslkey=${paths["psql.key"]} sslrootcert=${
      paths["ca.pem"]
    }`;
    const { stdout, stderr } = await psql(`${target} ${certificate}`, { args: ["-c", "SELECT 42"] });
    assert.equal(stdout, "42\n", stderr);
    const closed = (await proxy.closed(5)).at(-1)!;
    assert.equal(summarizeTls(closed.client_tls!).client_cert_name, "CN=alice");
    assert.notEqual(closed.backend_tls, null);
  });
});

/** 140 CAs, the one that matters last. */
function bundleOf(ca: Ca): string {
  return [...strangers, ca].map(({ certPem }) => certPem).join("");
}

/** An ECDSA signature takes 70 to 72 bytes, rarely fewer. */
const SIGNATURE_JITTER = 8;
