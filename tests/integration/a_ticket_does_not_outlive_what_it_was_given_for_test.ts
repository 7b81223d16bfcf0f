/**
 * A session ticket from before a reload, and a verification remembered from before, count for nothing once client_ca,
 * client_crl or mtls have changed. The runtime alone would resume such a session and ask no further (decision 0001).
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { summarizeTls } from "../../src/tls/record.ts";
import { CLIENT_AUTH, extendedKeyUsage } from "../support/certificate_extensions.ts";
import { makeLeaf, makeRoot } from "../support/chain_builder.ts";
import { startCountingBackend } from "../support/counting_backend.ts";
import { makeCrl } from "../support/crl_builder.ts";
import { leafOf } from "../support/odd_certificates.ts";
import type { Leaf } from "../support/pki.ts";
import { isEvent, startTestProxy } from "../support/proxy.ts";
import { sClient } from "../support/s_client.ts";

const root = makeRoot("client CA");
const other = makeRoot("other client CA");
const server = leafOf(makeLeaf(root));
const aliceCertificate = makeLeaf(root, { subject: "alice", extensions: [extendedKeyUsage(CLIENT_AUTH)] });
const alice = leafOf(aliceCertificate);
const bob = leafOf(makeLeaf(root, { subject: "bob", extensions: [extendedKeyUsage(CLIENT_AUTH)] }));
const strange = leafOf(makeLeaf(other, { subject: "alice", extensions: [extendedKeyUsage(CLIENT_AUTH)] }));

const common = { server_cert: server.chainPem, server_key: server.keyPem };
const mutual = { ...common, mtls: true, client_ca: root.pem };

/** The listener before and after the reload, who gets a ticket before, who is served afterwards, and why the first is not. */
const CHANGES: readonly {
  readonly what: string;
  readonly before: Record<string, unknown>;
  readonly after: Record<string, unknown>;
  readonly client?: Pick<Leaf, "chainPem" | "keyPem">;
  readonly served: Pick<Leaf, "chainPem" | "keyPem">;
  readonly code: string;
}[] = [
  {
    what: "another client_ca",
    before: mutual,
    after: { ...mutual, client_ca: other.pem },
    client: alice,
    served: strange,
    code: "unknown_issuer",
  },
  {
    what: "a client_crl that revokes the client",
    before: { ...mutual, client_crl: makeCrl(root, { revoked: [] }) },
    after: { ...mutual, client_crl: makeCrl(root, { revoked: [aliceCertificate] }) },
    client: alice,
    served: bob,
    code: "revoked",
  },
  {
    what: "client_crl where there was none",
    before: mutual,
    after: { ...mutual, client_crl: makeCrl(root, { revoked: [aliceCertificate] }) },
    client: alice,
    served: bob,
    code: "revoked",
  },
  { what: "mtls from false to true", before: common, after: mutual, served: alice, code: "no_certificate" },
  {
    what: 'mtls from "optional" to true, for a client without certificate',
    before: { ...mutual, mtls: "optional" },
    after: mutual,
    served: alice,
    code: "no_certificate",
  },
  {
    what: 'mtls from "optional" to true, for a client that was refused and let in',
    before: { ...mutual, mtls: "optional" },
    after: mutual,
    client: strange,
    served: alice,
    code: "unknown_issuer",
  },
];

for (const version of ["1.2", "1.3"] as const) {
  for (const { what, before, after, client, served, code } of CHANGES) {
    Deno.test(`a ticket does not outlive ${what}: TLS ${version}`, async () => {
      await using backend = await startCountingBackend();
      await using proxy = await startTestProxy({ listener: before, backend: backend.backend });
      const own = { version, ...(client === undefined ? {} : { leaf: client }) };
      const port = proxy.port("route0");
      const ticket = join(proxy.dir, "ticket");
      assert.ok((await sClient(port, { ...own, sessionOut: ticket })).ready);
      const resumed = await sClient(port, { ...own, sessionIn: ticket });
      assert.deepEqual([resumed.resumed, resumed.ready], [true, true], "before the reload it is good");

      await proxy.configure({ listener: after, backend: backend.backend });
      assert.equal((await proxy.reload()).last.ok, true);
      const { accepts } = backend;
      const before2 = accepts();
      const afterwards = await sClient(port, { ...own, sessionIn: ticket });
      assert.equal(afterwards.resumed, true, "the attack must get as far as resuming");
      assert.deepEqual([afterwards.sqlstate, afterwards.ready], ["28000", false]);
      const fresh = await sClient(port, own);
      assert.deepEqual([fresh.sqlstate, fresh.ready], ["28000", false]);
      assert.equal(accepts(), before2, "nothing may be dialled");
      const rejected = proxy.events.filter(isEvent("peer.rejected"));
      assert.deepEqual(rejected.map((event) => event.code), [code, code]);
      const lines = (await proxy.closed(4)).slice(2);
      assert.deepEqual(lines.map(({ client_tls }) => summarizeTls(client_tls!).resumed), [true, false]);

      assert.ok((await sClient(port, { version, leaf: served })).ready, "who may come in is let in");
    });
  }
}

Deno.test("a client of a client_ca that comes by file alone is served, one of the old is refused at once", async () => {
  await using backend = await startCountingBackend();
  await using proxy = await startTestProxy({ listener: mutual, backend: backend.backend });
  const port = proxy.port("route0");
  assert.ok((await sClient(port, { leaf: alice })).ready);
  await proxy.replace("route0-listener-client_ca.pem", other.pem);
  assert.equal((await proxy.refresh()).last.ok, true);
  assert.equal((await sClient(port, { leaf: alice })).sqlstate, "28000");
  assert.ok((await sClient(port, { leaf: strange })).ready);
});

Deno.test("a session from before the reload lives on", async () => {
  await using backend = await startCountingBackend();
  await using proxy = await startTestProxy({ listener: mutual, backend: backend.backend });
  const open = sClient(proxy.port("route0"), { leaf: alice, until: /this will not come/ });
  await proxy.waitFor(isEvent("backend.connected"));
  await proxy.replace("route0-listener-client_ca.pem", other.pem);
  await proxy.refresh();
  assert.equal(proxy.connections(), 1);
  await proxy.drain(0);
  assert.equal((await open).ready, true);
});
