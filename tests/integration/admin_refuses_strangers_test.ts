/** Who may ask the admin server: with mtls = true a verified client, without it no site that a browser happens to show. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { ask, openSocket, opensslGet, temporaryFile } from "../support/admin_client.ts";
import { makeCa, makeSelfSigned } from "../support/pki.ts";
import { isEvent, startAdminProxy, type TestProxy } from "../support/proxy.ts";
import { sClient } from "../support/s_client.ts";
import { routeTo } from "../support/two_legs.ts";

const ca = makeCa({ name: "admin CA" });
const server = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost"] });
const clientCa = makeCa({ name: "client CA" });
const alice = clientCa.issue({ name: "alice", purpose: "client" });

const STRANGERS = {
  "no certificate": undefined,
  "a certificate of another CA": makeCa({ name: "client CA" }).issue({ name: "alice", purpose: "client" }),
  "a self-signed certificate": makeSelfSigned({ name: "alice", purpose: "client" }),
  "an expired certificate": clientCa.issue({
    name: "alice",
    purpose: "client",
    notAfter: new Date(Date.now() - 1_000),
  }),
  "a server's certificate": clientCa.issue({ name: "alice", purpose: "server", sans: ["alice"] }),
};

for (const [what, leaf] of Object.entries(STRANGERS)) {
  Deno.test(`mtls = true answers ${what} with 403 and nothing else, by https and wss`, async () => {
    await using proxy = await startMutual();
    const options = { ca: ca.certPem, ...(leaf && { leaf }) };
    for (const path of ["/metrics", "/tls", "/nothing"]) {
      const { status, text } = await ask(proxy.adminPort, path, options);
      assert.equal(status, 403);
      assert.match(JSON.parse(text).error, /^Client certificate (required|refused)$/);
    }
    using socket = openSocket(proxy.adminPort, "/events", options);
    assert.equal(await socket.opened, 403);
    assert.equal(proxy.events.filter(isEvent("admin.refused")).length, 4);
  });
}

Deno.test("mtls = true serves a verified client, whatever name it uses for the server", async () => {
  await using proxy = await startMutual();
  const options = { ca: ca.certPem, leaf: alice, headers: { host: "pgtls.internal:9432" } };
  assert.equal((await ask(proxy.adminPort, "/livez", options)).status, 200);
});

Deno.test("a TLS session begun where nobody asks for a certificate opens no admin server with mtls", async () => {
  await using files = await temporaryFile();
  await using proxy = await startMutual();
  const { certificates } = await sClient(proxy.ports[0]!, { sessionOut: files.path });
  assert.ok(certificates > 0);
  for (const path of ["/metrics", "/tls"]) {
    const { stdout, status } = await opensslGet(proxy.adminPort, path, ["-sess_in", files.path]);
    assert.match(stdout, /^Reused, TLSv1/m);
    assert.equal(status, 403);
  }
});

Deno.test("strangers who occupy every connection give way to a probe", async () => {
  await using proxy = await startMutual();
  const strangers = Array.from({ length: 40 }, () => {
    const socket = connect({ host: "127.0.0.1", port: proxy.adminPort, localAddress: "127.0.0.2" });
    return socket.on("error", () => {});
  });
  await Promise.all(strangers.map((socket) => new Promise((resolve) => socket.once("connect", resolve))));
  const options = { ca: ca.certPem, leaf: alice };
  for (let i = 0; i < 3; i++) assert.equal((await ask(proxy.adminPort, "/livez", options)).status, 200);
  for (const socket of strangers) socket.destroy();
});

Deno.test("a PostgreSQL client or plain HTTP on the TLS admin port gets no further than the handshake", async () => {
  await using proxy = await startMutual();
  for (const bytes of ["GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", "\0\0\0\x08\x04\xd2\x16\x2f"]) {
    assert.doesNotMatch(await answerTo(proxy.adminPort, bytes), /HTTP|pgtls/);
  }
});

Deno.test("without mtls a foreign Host or Origin is refused over the wire, before any endpoint sees it", async () => {
  await using proxy = await startAdminProxy({}, routeTo(1, "clear"));
  const port = proxy.adminPort;
  const evil = { host: `attacker.example:${port}` };
  for (const headers of [evil, { origin: "http://attacker.example" }, { "sec-fetch-site": "cross-site" }]) {
    assert.equal((await ask(port, "/metrics", { headers })).status, 403);
    using socket = openSocket(port, "/events", { headers });
    assert.equal(await socket.opened, 403);
  }
  assert.equal((await ask(port, "/livez")).status, 200);
});

function startMutual(): Promise<TestProxy> {
  const keys = { server_cert: server.chainPem, server_key: server.keyPem };
  const admin = { ...keys, mtls: true, client_ca: clientCa.certPem };
  return startAdminProxy(admin, { listener: keys, backend: { address: "127.0.0.1:1", tls_enabled: false } });
}

/** Sends text to a port and reads to the end. */
function answerTo(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    let answer = "";
    socket.on("data", (piece) => answer += piece.toString("latin1"));
    socket.on("error", () => {});
    socket.on("close", () => resolve(answer));
    socket.end(text, "latin1");
  });
}
