/**
 * Traps 2, 6 and 7 on the client leg: who is refused, that psql shows it, and that the log knows why.
 * The runtime alone resets the connection and forgets the reason, or does not check at all.
 */
import assert from "node:assert/strict";
import { type AddressInfo, createServer } from "node:net";
import { type TlsOptions, TLSSocket } from "node:tls";
import type { RejectionCode } from "../../src/errors.ts";
import { summarizeTls } from "../../src/tls/record.ts";
import { CLIENT_AUTH, extendedKeyUsage } from "../support/certificate_extensions.ts";
import { fromNow, issue, makeLeaf, makeRoot } from "../support/chain_builder.ts";
import { until } from "../support/closing_lines.ts";
import { startCountingBackend } from "../support/counting_backend.ts";
import { LET_IN, requiring, startNaiveServer } from "../support/naive_tls.ts";
import { impostorOf, issueBer, issueOld, leafOf } from "../support/odd_certificates.ts";
import { type Leaf, writeFiles } from "../support/pki.ts";
import { psql } from "../support/psql.ts";
import { isEvent, startTestProxy, type TestProxy } from "../support/proxy.ts";
import { sClient } from "../support/s_client.ts";

const root = makeRoot("client CA");
const server = leafOf(makeLeaf(root));
const asClient = { subject: "alice", extensions: [extendedKeyUsage(CLIENT_AUTH)] };
const selfSigned = leafOf(issue(asClient));

interface Refusal {
  readonly leaf?: Leaf;
  readonly code: RejectionCode;
  readonly detail: RegExp;
}

const REFUSALS: Record<string, Refusal> = {
  "no certificate": { code: "no_certificate", detail: /it presented no certificate, one is required/ },
  "a rogue certificate with the same names": {
    leaf: leafOf(issue({ ...asClient, issuer: impostorOf(root) })),
    code: "bad_signature",
    detail: /"CN=alice"/,
  },
  "a self-signed certificate": {
    leaf: selfSigned,
    code: "unknown_issuer",
    detail: /"CN=alice"/,
  },
  "an expired certificate": {
    leaf: leafOf(issue({ ...asClient, issuer: root, notBefore: fromNow(-7200), notAfter: fromNow(-3600) })),
    code: "expired",
    detail: /"CN=alice"/,
  },
  "a certificate of tomorrow": {
    leaf: leafOf(issue({ ...asClient, issuer: root, notBefore: fromNow(3600), notAfter: fromNow(7200) })),
    code: "not_yet_valid",
    detail: /"CN=alice"/,
  },
  "a certificate for servers": {
    leaf: leafOf(makeLeaf(root, { subject: "alice" })),
    code: "extended_key_usage",
    detail: /"CN=alice"/,
  },
  "a certificate of version 1": {
    leaf: leafOf(issueOld(1, "alice", root)),
    code: "unsupported_version",
    detail: /version 1, expected version 3; reissue it with extensions/,
  },
};

Deno.test("psql shows why it was refused, and the log says more", async (t) => {
  await using backend = await startCountingBackend();
  await using proxy = await startTestProxy({
    listener: { server_cert: server.chainPem, server_key: server.keyPem, mtls: true, client_ca: root.pem },
    backend: backend.backend,
  });
  await Deno.writeTextFile(`${proxy.dir}/ca.pem`, root.pem);
  for (const [what, refusal] of Object.entries(REFUSALS)) {
    await t.step(what, async () => {
      const seen = proxy.events.length;
      await isRefusedIn(proxy, refusal);
      const { sqlstate } = await sClient(proxy.ports[0]!, refusal.leaf ? { leaf: refusal.leaf } : {});
      assert.equal(sqlstate, "28000");
      const rejections = proxy.events.slice(seen).filter(isEvent("peer.rejected"));
      assert.deepEqual(rejections.map(({ code }) => code), [refusal.code, refusal.code]);
      for (const { detail } of rejections) assert.match(detail, refusal.detail);
    });
  }
  const closed = await proxy.closed(2 * Object.keys(REFUSALS).length);
  for (const { reason, client_tls } of closed) {
    const tls = summarizeTls(client_tls!);
    assert.equal(reason, "peer_rejected");
    assert.ok(tls.client_cert_error?.startsWith("Cannot accept "), "the TLS record says it, too");
  }
  assert.equal(backend.accepts(), 0, "nothing may be dialled");
});

/** BER: the runtime refuses it during the handshake, before anybody can be told anything but an alert. */
Deno.test("a client certificate that is not DER does not get past the handshake", async () => {
  await using backend = await startCountingBackend();
  await using proxy = await startTestProxy({
    listener: { server_cert: server.chainPem, server_key: server.keyPem, mtls: true, client_ca: root.pem },
    backend: backend.backend,
  });
  const leaf = leafOf(issueBer(root, { subject: "alice" }));
  const { sqlstate, ready } = await sClient(proxy.ports[0]!, { leaf });
  assert.deepEqual([sqlstate, ready, backend.accepts()], [null, false, 0]);
  const [closed] = await proxy.closed(1);
  assert.equal(closed!.reason, "handshake_failed");
});

Deno.test("the runtime alone refuses without a reason", async () => {
  const failures: string[] = [];
  const onClientError = (error: Error) => void failures.push(error.message);
  await using naive = await startNaiveServer(server, { ...requiring({ certPem: root.pem }), onClientError });
  const { stdout } = await sClient(naive.port, { leaf: selfSigned, starttls: false, until: LET_IN });
  assert.doesNotMatch(stdout, LET_IN);
  await until(() => failures.length > 0, "the server to hear of it");
  assert.deepEqual(failures, ["socket hang up"], "not a word about certificates");
});

Deno.test("the runtime alone: a bare TLSSocket lets in every certificate that it should reject", async () => {
  await using naive = await startBareServer({ ...requiring({ certPem: root.pem }), isServer: true });
  const { stdout } = await sClient(naive.port, { leaf: selfSigned, starttls: false, until: LET_IN });
  assert.match(stdout, /let in, authorized: false/);
});

async function isRefusedIn(proxy: TestProxy, { leaf, code }: Refusal): Promise<void> {
  const target = `host=localhost hostaddr=127.0.0.1 port=${proxy.ports[0]} user=alice dbname=demo`;
  const { code: exit, stderr } = await psql(
    `${target} sslmode=verify-full sslrootcert=${proxy.dir}/ca.pem ${await certificateOf(proxy.dir, leaf)}`,
    { args: ["-c", "SELECT 1"] },
  );
  assert.equal(exit, 2);
  const what = code === "no_certificate" ? "required" : "refused";
  assert.match(stderr, new RegExp(`FATAL: {2}client certificate ${what}`));
  assert.doesNotMatch(stderr, /unexpectedly/);
}

async function certificateOf(dir: string, leaf: Leaf | undefined): Promise<string> {
  if (leaf === undefined) return "";
  const paths = await writeFiles(dir, { "psql.crt": leaf.chainPem, "psql.key": leaf.keyPem });
  return `sslcert=${paths["psql.crt"]} sslkey=${paths["psql.key"]}`;
}

/** A server of `new TLSSocket(socket, options)`, which looks like the thing to do after SSLRequest. */
async function startBareServer(
  options: TlsOptions & { isServer: true },
): Promise<AsyncDisposable & { port: number }> {
  const sockets: TLSSocket[] = [];
  const listener = createServer((socket) => {
    const tls = new TLSSocket(socket, { ...options, cert: server.chainPem, key: server.keyPem });
    sockets.push(tls);
    tls.on("error", () => {});
    tls.on("secure", () => tls.write(`let in, authorized: ${tls.authorized}\n`));
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  return {
    port: (listener.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => listener.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
