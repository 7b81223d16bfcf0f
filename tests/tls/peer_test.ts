import assert from "node:assert/strict";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { type AcceptorOptions, TlsAcceptor } from "../../src/tls/acceptor.ts";
import { connectTls } from "../../src/tls/connector.ts";
import { presentedChain, tlsFacts } from "../../src/tls/peer.ts";
import { summarizeTls, type TlsFacts, tlsRecord, toPem } from "../../src/tls/record.ts";
import { issue, makeRoot } from "../support/chain_builder.ts";
import { issueBer, issueOld } from "../support/odd_certificates.ts";
import { PeerStream } from "../support/peer_stream.ts";
import { type Leaf, makeCa } from "../support/pki.ts";
import { run } from "../support/process.ts";
import { sClient, type SClientOptions } from "../support/s_client.ts";
import { acceptTls12, connectTls12 } from "../support/tls12_peers.ts";
import { materialOf, never, socketPair } from "./tls_support.ts";

const ca = makeCa({ name: "CA" });
const intermediate = ca.issueCa({ name: "intermediate CA" });
const server = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost"] });
const alice = intermediate.issue({ name: "alice", purpose: "client" });
const ASK = { minVersion: "1.2", requestCertificate: true } as const;

Deno.test("presentedChain() gives the DER as presented, leaf first, on resumed sessions too", async () => {
  const dir = await Deno.makeTempDir({ prefix: "pgtls-peer-" });
  const ticket = join(dir, "ticket");
  try {
    for (const version of ["1.2", "1.3"] as const) {
      const full = await factsOfClient({ version, leaf: alice, sessionOut: ticket });
      const resumed = await factsOfClient({ version, leaf: alice, sessionIn: ticket });
      assert.deepEqual([full.resumed, resumed.resumed], [false, true]);
      for (const { clientChain } of [full, resumed]) {
        assert.deepEqual(clientChain.map(bytes), [alice.der, intermediate.der].map(bytes));
      }
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("presentedChain() is empty when the client has no certificate", async () => {
  assert.deepEqual((await factsOfClient({})).clientChain, []);
});

Deno.test("presentedChain() gives a backend's chain as presented", async () => {
  const leaf = intermediate.issue({ name: "localhost", purpose: "server", sans: ["localhost"] });
  await using pair = await socketPair();
  const [, secured] = await Promise.all([
    new TlsAcceptor(materialOf(leaf), ASK).accept(pair.server, never()),
    connectTls(pair.client, { serverName: "localhost", certPem: null, keyPem: null, signal: never() }),
  ]);
  assert.deepEqual(presentedChain(secured).map(bytes), [leaf.der, intermediate.der].map(bytes));
});

/** What the runtime cannot parse must reach verify.ts and be refused there, not look like no certificate. */
Deno.test("presentedChain() gives certificates that the runtime cannot parse", async () => {
  const root = makeRoot("CA");
  const clients = [issueOld(1, "alice", root), issueOld(2, "alice", root)];
  for (const { der, key } of clients) {
    await using pair = await socketPair();
    const accepted = new TlsAcceptor(materialOf(server), ASK).accept(pair.server, never());
    const credentials = { chain: [der], signWith: key.privateKey };
    const [secured] = await Promise.all([accepted, connectTls12(new PeerStream(pair.client), credentials)]);
    assert.deepEqual(presentedChain(secured).map(bytes), [bytes(der)]);
  }
  for (const { der, key } of [...clients, issueBer(root)]) {
    await using pair = await socketPair();
    const own = { serverName: "localhost", certPem: null, keyPem: null, signal: never() };
    const credentials = { chain: [der], signWith: key.privateKey };
    const [secured] = await Promise.all([
      connectTls(pair.client, own),
      acceptTls12(new PeerStream(pair.server), credentials),
    ]);
    assert.deepEqual(presentedChain(secured).map(bytes), [bytes(der)]);
  }
});

Deno.test("presentedChain() throws when the runtime does not offer the call", () => {
  for (const handle of [undefined, null, {}]) {
    const socket = { _handle: handle, getPeerCertificate: () => ({}) } as unknown as TLSSocket;
    assert.throws(() => presentedChain(socket), TypeError);
  }
});

Deno.test("tlsFacts() knows every version and cipher suite that can be agreed on", async () => {
  const rsa = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost"], keyType: "RSA-2048" });
  for (const [suite, code, version] of SUITES) {
    const isOld = version === "1.2";
    const args = isOld ? ["-cipher", suite] : ["-ciphersuites", suite];
    const facts = await factsOfClient({ version, args }, suite.includes("RSA-") ? rsa : server);
    assert.deepEqual([facts.tlsVersion, facts.cipherSuite], [isOld ? 0x0303 : 0x0304, code], suite);
  }
});

Deno.test("tlsFacts() has the SNI and ALPN of the client, null when there are none", async () => {
  const offering = await factsOfClient({ serverName: "db.example", args: ["-alpn", "postgresql"] });
  assert.deepEqual([offering.serverName, offering.alpn], ["db.example", "postgresql"]);
  await using pair = await socketPair();
  const accepted = new TlsAcceptor(materialOf(server), ASK).accept(pair.server, never());
  connect({ socket: pair.client, servername: "", rejectUnauthorized: false }).on("error", () => {});
  const silent = tlsFacts(await accepted, NO_CERTIFICATES);
  assert.deepEqual([silent.serverName, silent.alpn], [null, null]);
});

Deno.test("tlsRecord() has exactly the six keys of the PAGI TLS extension", async () => {
  const facts = await factsOfClient({ leaf: alice, version: "1.3" });
  const record = tlsRecord({ ...facts, clientCertError: "refused" });
  assert.deepEqual(record, {
    server_cert: server.certPem,
    client_cert_chain: [alice.certPem, intermediate.certPem],
    client_cert_name: "CN=alice",
    client_cert_error: "refused",
    tls_version: 0x0304,
    cipher_suite: 0x1302,
  });
});

Deno.test("tlsRecord() has null and an empty list for what there is not", () => {
  assert.deepEqual(tlsRecord(NOTHING), {
    server_cert: null,
    client_cert_chain: [],
    client_cert_name: null,
    client_cert_error: null,
    tls_version: null,
    cipher_suite: null,
  });
});

Deno.test("tlsRecord() has no name for a client certificate that cannot be read", () => {
  const record = tlsRecord({ ...NOTHING, clientChain: [Uint8Array.of(1, 2, 3)] });
  assert.deepEqual([record.client_cert_name, record.client_cert_chain.length], [null, 1]);
});

Deno.test("summarizeTls() has SHA-256 fingerprints as OpenSSL prints them", async () => {
  const summary = summarizeTls({ ...NOTHING, serverCert: server.der, clientChain: [alice.der] });
  for (
    const [pem, seen] of [[server.certPem, summary.server_cert_sha256], [
      alice.certPem,
      summary.client_cert_sha256,
    ]]
  ) {
    const { stdout } = await run("openssl", ["x509", "-noout", "-fingerprint", "-sha256"], { input: pem! });
    assert.equal(stdout.trim().split("=")[1]!.replaceAll(":", "").toLowerCase(), seen);
  }
});

Deno.test("toPem() is OpenSSL's PEM, when the last line is full, too", async () => {
  const dir = await Deno.makeTempDir({ prefix: "pgtls-pem-" });
  try {
    for (const der of [server.der, alice.der, certificateOfFullLines()]) {
      const file = join(dir, "certificate.der");
      await Deno.writeFile(file, der);
      const { stdout } = await run("openssl", ["x509", "-inform", "DER", "-in", file]);
      assert.equal(toPem(der), stdout);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

/** The facts of a TLS connection that s_client opens to an acceptor. */
async function factsOfClient(
  client: Omit<SClientOptions, "starttls" | "until">,
  leaf: Leaf = server,
  options: AcceptorOptions = ASK,
): Promise<TlsFacts> {
  const acceptor = new TlsAcceptor(materialOf(leaf), options);
  const facts = Promise.withResolvers<TlsFacts>();
  const listener = createServer({ pauseOnConnect: true }, async (socket) => {
    socket.on("error", () => {});
    const secured = await acceptor.accept(socket, never());
    const clientChain = presentedChain(secured);
    facts.resolve(tlsFacts(secured, { serverCert: leaf.der, clientChain, clientCertError: null }));
    secured.on("error", () => {});
    secured.write("facts taken\n");
    secured.resume();
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = listener.address() as AddressInfo;
    const { stdout, stderr } = await sClient(port, { ...client, starttls: false, until: TAKEN });
    assert.match(stdout, TAKEN, stderr);
    return await facts.promise;
  } finally {
    await new Promise((resolve) => listener.close(resolve));
  }
}

/** One whose length is a multiple of 48 bytes, 64 columns. */
function certificateOfFullLines(): Uint8Array<ArrayBuffer> {
  for (let length = 1;; length++) {
    const { der } = issue({ subject: "x".repeat(1 + length % 60) });
    if (der.length % 48 === 0) return der;
  }
}

/** A plain Uint8Array, which deepEqual does not tell apart by its prototype. */
function bytes(der: Uint8Array): Uint8Array {
  return Uint8Array.from(der);
}

const NO_CERTIFICATES = { serverCert: null, clientChain: [], clientCertError: null };
const NOTHING: TlsFacts = {
  ...NO_CERTIFICATES,
  tlsVersion: null,
  cipherSuite: null,
  alpn: null,
  serverName: null,
  resumed: false,
};

/** OpenSSL's names, IANA's codes. */
const SUITES = [
  ["TLS_AES_128_GCM_SHA256", 0x1301, "1.3"],
  ["TLS_AES_256_GCM_SHA384", 0x1302, "1.3"],
  ["TLS_CHACHA20_POLY1305_SHA256", 0x1303, "1.3"],
  ["ECDHE-ECDSA-AES128-GCM-SHA256", 0xc02b, "1.2"],
  ["ECDHE-ECDSA-AES256-GCM-SHA384", 0xc02c, "1.2"],
  ["ECDHE-ECDSA-CHACHA20-POLY1305", 0xcca9, "1.2"],
  ["ECDHE-RSA-AES128-GCM-SHA256", 0xc02f, "1.2"],
  ["ECDHE-RSA-AES256-GCM-SHA384", 0xc030, "1.2"],
  ["ECDHE-RSA-CHACHA20-POLY1305", 0xcca8, "1.2"],
] as const;

/** In the middle of a line: s_client prints tickets at the same time. */
const TAKEN = /facts taken/;
