/** Trap 7: the runtime ignores `crl`, `ciphers` and `honorCipherOrder`. pgtls has client_crl, and no key for the others. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { CLIENT_AUTH, extendedKeyUsage } from "../support/certificate_extensions.ts";
import { makeLeaf, makeRoot } from "../support/chain_builder.ts";
import { startCountingBackend } from "../support/counting_backend.ts";
import { makeCrl } from "../support/crl_builder.ts";
import { LET_IN, requiring, startNaiveServer } from "../support/naive_tls.ts";
import { leafOf } from "../support/odd_certificates.ts";
import { isEvent, startTestProxy } from "../support/proxy.ts";
import { sClient } from "../support/s_client.ts";

const root = makeRoot("client CA");
const server = leafOf(makeLeaf(root));
const revoked = makeLeaf(root, { subject: "mallory", extensions: [extendedKeyUsage(CLIENT_AUTH)] });
const mallory = leafOf(revoked);
const alice = leafOf(makeLeaf(root, { subject: "alice", extensions: [extendedKeyUsage(CLIENT_AUTH)] }));
const crl = makeCrl(root, { revoked: [revoked] });

Deno.test("a revoked client is refused, with a ticket from before, too", async (t) => {
  await using backend = await startCountingBackend();
  const listener = {
    server_cert: server.chainPem,
    server_key: server.keyPem,
    mtls: true,
    client_ca: root.pem,
  };
  await using proxy = await startTestProxy(
    { listener, backend: backend.backend },
    { listener: { ...listener, client_crl: crl }, backend: backend.backend },
  );
  const [before, after] = proxy.ports as [number, number];
  const ticket = join(proxy.dir, "ticket");

  await t.step("the runtime alone lets it in", async () => {
    await using naive = await startNaiveServer(server, { ...requiring({ certPem: root.pem }), crl });
    const { stdout } = await sClient(naive.port, { leaf: mallory, starttls: false, until: LET_IN });
    assert.match(stdout, /let in, authorized: true/);
  });
  await t.step("others are served", async () => {
    assert.ok((await sClient(after, { leaf: alice })).ready);
  });
  await t.step("it is refused", async () => {
    const accepts = backend.accepts();
    assert.equal((await sClient(after, { leaf: mallory })).sqlstate, "28000");
    assert.equal(backend.accepts(), accepts, "nothing may be dialled");
    assert.equal(proxy.events.findLast(isEvent("peer.rejected"))?.code, "revoked");
  });
  await t.step("it is refused when it resumes", async () => {
    assert.ok((await sClient(before, { leaf: mallory, sessionOut: ticket })).ready);
    const { resumed, sqlstate } = await sClient(after, { leaf: mallory, sessionIn: ticket });
    assert.deepEqual([resumed, sqlstate], [true, "28000"]);
    assert.equal(proxy.events.filter(isEvent("peer.rejected")).at(-1)?.code, "revoked");
    assert.equal(proxy.events.filter(isEvent("peer.rejected")).length, 2);
  });
});

Deno.test("the runtime alone takes a cipher list and keeps its own", async () => {
  await using naive = await startNaiveServer(server, { ciphers: "ECDHE-ECDSA-CHACHA20-POLY1305" });
  const args = ["-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"];
  const options = { version: "1.2", starttls: false, until: LET_IN, args } as const;
  const { stdout } = await sClient(naive.port, options);
  assert.match(stdout, /^New, TLSv1.2, Cipher is ECDHE-ECDSA-AES256-GCM-SHA384$/m);
});
