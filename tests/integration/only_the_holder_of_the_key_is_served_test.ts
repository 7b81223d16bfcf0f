/**
 * Trap 3, second half: for a certificate that the runtime cannot parse it skips the proof that the peer holds the key.
 * The peers here present certificates everybody can get hold of, and sign with a key of their own.
 */
import assert from "node:assert/strict";
import type { KeyObject } from "node:crypto";
import { connect, type ConnectionOptions } from "node:tls";
import { type Issued, makeLeaf, makeRoot, testKey } from "../support/chain_builder.ts";
import { basicConstraints, CLIENT_AUTH, extendedKeyUsage, names } from "../support/certificate_extensions.ts";
import { startCountingBackend } from "../support/counting_backend.ts";
import { startFakeBackend } from "../support/fake_backend.ts";
import { startNaiveServer } from "../support/naive_tls.ts";
import { issueBer, issueOld, leafOf } from "../support/odd_certificates.ts";
import { textOf } from "../support/peer_stream.ts";
import { isEvent, listenerKeys, startTestProxy } from "../support/proxy.ts";
import { connectRaw } from "../support/raw_client.ts";
import { sClient } from "../support/s_client.ts";
import { TlsAlert } from "../support/tls12.ts";
import { acceptTls12, connectTls12 } from "../support/tls12_peers.ts";
import { bytesOf, SSL_REQUEST } from "../wire/bytes.ts";

const root = makeRoot("CA");
const server = leafOf(makeLeaf(root));
const wrongKey = testKey("P-256", "of the thief").privateKey;
const clientExtensions = [basicConstraints(false), extendedKeyUsage(CLIENT_AUTH)];

/** Genuine client certificates; of these the runtime can parse the first only. */
const clients = {
  good: makeLeaf(root, { subject: "alice", extensions: clientExtensions }),
  old: issueOld(1, "alice", root),
  ber: issueBer(root, { subject: "alice", extensions: clientExtensions }),
};
/** Genuine server certificates, likewise. */
const backends = {
  "version 3": makeLeaf(root),
  "version 1": issueOld(1, "localhost", root),
  "BER": issueBer(root, { extensions: [basicConstraints(false), names({ dNSName: "localhost" })] }),
};

Deno.test("a client must prove that it holds its certificate's key", async (t) => {
  const { good, old, ber } = clients;
  await t.step("with the key it is served", async () => {
    const { answer, codes, accepts } = await stealAsClient(good, good.key.privateKey);
    assert.match(answer, /^R/);
    assert.deepEqual([codes, accepts], [[], 1]);
  });
  await t.step("with another's key it is not", async () => {
    const { answer, accepts } = await stealAsClient(good, wrongKey);
    assert.deepEqual([answer, accepts], [`alert ${DECRYPT_ERROR}`, 0]);
  });
  await t.step("without a word about the key it is not", async () => {
    const { answer, accepts } = await stealAsClient(good, null);
    assert.deepEqual([answer, accepts], [`alert ${UNEXPECTED_MESSAGE}`, 0]);
  });
  await t.step("version 1: the runtime alone asks for no proof", async () => {
    await using naive = await startNaiveServer(server, { requestCert: true, rejectUnauthorized: false });
    await using stream = await connectRaw(naive.port);
    const tls = await connectTls12(stream, { chain: [old.der], signWith: wrongKey });
    assert.match(textOf(await tls.receiveData()), /^let in/);
  });
  for (const [whose, key] of [["another's key", wrongKey], ["the key", old.key.privateKey]] as const) {
    await t.step(`version 1: with ${whose} it is refused`, async () => {
      const { answer, codes, accepts } = await stealAsClient(old, key);
      assert.match(answer, /^E.*\0C28000\0/);
      assert.deepEqual([codes, accepts], [["unsupported_version"], 0]);
    });
  }
  // Of clients, unlike of backends, the runtime refuses these itself; were it to stop, verify.ts is there.
  await t.step("BER: it is refused", async () => {
    const { answer, accepts } = await stealAsClient(ber, ber.key.privateKey);
    assert.deepEqual([answer, accepts], [`alert ${BAD_CERTIFICATE}`, 0]);
  });
});

Deno.test("a backend must prove that it holds its certificate's key", async (t) => {
  const { "version 3": good, ...unreadable } = backends;
  await t.step("with the key it is used", async () => {
    const { sqlstate, failures, received } = await stealAsBackend(good, good.key.privateKey);
    assert.deepEqual([sqlstate, failures], [null, []]);
    assert.match(received, /user\0alice/);
  });
  await t.step("with another's key it is not", async () => {
    const { sqlstate, failures, received } = await stealAsBackend(good, wrongKey);
    assert.deepEqual([sqlstate, failures.map(({ reason }) => reason)], ["08001", ["backend_tls_refused"]]);
    assert.equal(received, "");
  });
  for (const [kind, certificate] of Object.entries(unreadable)) {
    await t.step(`${kind}: the runtime alone asks for no proof`, async () => {
      assert.equal(await isNaivelyAuthorized(certificate, wrongKey, { ca: root.pem }), true);
    });
    for (
      const [whose, key] of [["another's key", wrongKey], ["the key", certificate.key.privateKey]] as const
    ) {
      await t.step(`${kind}: with ${whose} it is refused`, async () => {
        const { sqlstate, failures, received } = await stealAsBackend(certificate, key);
        assert.deepEqual([sqlstate, failures.map(({ reason }) => reason)], ["08001", ["backend_untrusted"]]);
        assert.match(
          failures[0]!.detail,
          kind === "BER" ? /expected strict DER/ : /version 1, expected version 3/,
        );
        assert.equal(received, "", "not a byte of PostgreSQL is sent to it");
      });
    }
  }
});

/** What a client that presents `certificate` and signs with `key` gets from a listener with mtls. */
async function stealAsClient(certificate: Issued, key: KeyObject | null) {
  await using backend = await startCountingBackend();
  const listener = { ...listenerKeys(server), mtls: true, client_ca: root.pem };
  await using proxy = await startTestProxy({ listener, backend: backend.backend });
  await using stream = await connectRaw(proxy.ports[0]!);
  await stream.send(SSL_REQUEST);
  assert.equal(textOf(await stream.read(1)), "S");
  let answer: string;
  try {
    const tls = await connectTls12(stream, { chain: [certificate.der], signWith: key });
    await tls.sendData(STARTUP_OF_ALICE);
    answer = textOf(await tls.receiveData());
  } catch (error) {
    if (!(error instanceof TlsAlert)) throw error;
    answer = `alert ${error.description}`;
  }
  await stream[Symbol.asyncDispose]();
  await proxy.closed(1);
  const codes = proxy.events.filter(isEvent("peer.rejected")).map(({ code }) => code);
  return { answer, codes, accepts: backend.accepts() };
}

/** What becomes of a session whose backend presents `certificate` and signs with `key`. */
async function stealAsBackend(certificate: Issued, key: KeyObject) {
  let received = "";
  await using backend = await startFakeBackend(async (peer) => {
    assert.deepEqual(await peer.read(SSL_REQUEST.length), SSL_REQUEST);
    await peer.send(bytesOf("S"));
    const tls = await acceptTls12(peer, { chain: [certificate.der], signWith: key });
    received = textOf(await tls.receiveData());
    await tls.sendData(bytesOf("R\0\0\0\x08\0\0\0\0", "Z\0\0\0\x05I"));
    await peer.closed();
  });
  const tables = { address: `127.0.0.1:${backend.port}`, root_ca: root.pem, server_name: "localhost" };
  await using proxy = await startTestProxy({ listener: listenerKeys(server), backend: tables });
  const { sqlstate } = await sClient(proxy.ports[0]!);
  await proxy.closed(1);
  return { sqlstate, failures: proxy.events.filter(isEvent("backend.failed")), received };
}

async function isNaivelyAuthorized(certificate: Issued, key: KeyObject, options: ConnectionOptions) {
  await using backend = await startFakeBackend(async (peer) => {
    await acceptTls12(peer, { chain: [certificate.der], signWith: key });
  });
  const socket = connect({ host: "127.0.0.1", port: backend.port, servername: "localhost", ...options });
  try {
    return await new Promise<boolean>((resolve, reject) => {
      socket.on("secureConnect", () => resolve(socket.authorized));
      socket.on("error", reject);
    });
  } finally {
    socket.destroy();
  }
}

const STARTUP_OF_ALICE = bytesOf("\0\0\0\x14\0\x03\0\0user\0alice\0\0");

/** Alerts of RFC 5246 section 7.2. */
const DECRYPT_ERROR = 51;
const UNEXPECTED_MESSAGE = 10;
const BAD_CERTIFICATE = 42;
