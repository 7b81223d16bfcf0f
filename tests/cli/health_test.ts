/** `pgtls health`, as a container's probe runs it. */
import assert from "node:assert/strict";
import { freePort } from "../../src/demo/ports.ts";
import { makeCa } from "../support/pki.ts";
import { pgtls } from "../support/pgtls.ts";
import { startFakeBackend } from "../support/fake_backend.ts";
import { listenerKeys, startAdminProxy } from "../support/proxy.ts";
import { bytesOf } from "../wire/bytes.ts";

const ca = makeCa({ name: "admin CA" });
const leaf = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost"] });
const ROUTE = { listener: { tls_enabled: false }, backend: { address: "127.0.0.1:1", tls_enabled: false } };

Deno.test("pgtls health says that an admin server answers, and ends with 0", async () => {
  await using proxy = await startAdminProxy({}, ROUTE);
  const { code, stdout, stderr } = await pgtls("health", `127.0.0.1:${proxy.adminPort}`);
  assert.deepEqual([code, stdout], [0, "HTTP/1.1 200 OK\n"], stderr);
});

Deno.test("pgtls health --tls needs no client certificate: an answer is an answer", async () => {
  await using proxy = await startAdminProxy(listenerKeys(leaf, ca), ROUTE);
  const { code, stdout, stderr } = await pgtls("health", "--tls", `localhost:${proxy.adminPort}`);
  assert.deepEqual([code, stdout], [0, "HTTP/1.1 403 Forbidden\n"], stderr);
});

Deno.test("pgtls health ends with 1 where nobody listens, and where it is not HTTP", async () => {
  const port = freePort();
  const nobody = await pgtls("health", `127.0.0.1:${port}`);
  assert.equal(nobody.code, 1);
  assert.match(nobody.stderr, new RegExp(`^Could not ask "127\\.0\\.0\\.1:${port}": .*ECONNREFUSED`));
  await using other = await startFakeBackend((peer) => peer.send(bytesOf("N\x1b]0;x\x07\r\n")));
  const noHttp = await pgtls("health", `127.0.0.1:${other.port}`);
  assert.deepEqual([noHttp.code, noHttp.stdout], [1, ""]);
  assert.match(noHttp.stderr, /its answer is not HTTP\n$/);
});

Deno.test("pgtls health ends with 1 when the process takes the connection and does not answer", async () => {
  await using hung = await startFakeBackend(() => Promise.resolve());
  const { code, stderr } = await pgtls("health", `127.0.0.1:${hung.port}`);
  assert.equal(code, 1);
  assert.match(stderr, /no answer within \d+ ms\n$/);
});

Deno.test("pgtls health ends with 1 when the process hangs up without an answer", async () => {
  await using closing = await startFakeBackend(async (peer) => {
    await peer.readSome();
    peer.end();
  });
  const { code, stderr } = await pgtls("health", `127.0.0.1:${closing.port}`);
  assert.equal(code, 1);
  assert.match(stderr, /closed the connection without an answer\n$/);
});

Deno.test("pgtls health with something that is no address ends with 2", async () => {
  for (const target of ["nowhere", "/run/pgtls.sock", "localhost:0x1"]) {
    const { code, stderr } = await pgtls("health", target);
    assert.equal(code, 2, target);
    assert.match(stderr, /^Cannot ask ".*": expected host:port or \[::1\]:port of the admin server\n$/);
  }
});
