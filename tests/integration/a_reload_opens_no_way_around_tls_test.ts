/** A client that has connected before a reload and speaks after it is held to what the new configuration demands. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { onlyClosingLine, until } from "../support/closing_lines.ts";
import { serve, startFakeBackend } from "../support/fake_backend.ts";
import { textOf } from "../support/peer_stream.ts";
import { makeCa } from "../support/pki.ts";
import { startTestProxy, type TestProxy } from "../support/proxy.ts";
import { connectRaw, startupMessage } from "../support/raw_client.ts";
import { routeTo } from "../support/two_legs.ts";
import { SSL_REQUEST } from "../wire/bytes.ts";

const clientCa = makeCa({ name: "client CA" });

Deno.test("a client that might have spoken in clear must not once client certificates are required", async () => {
  await using backend = await startFakeBackend(serve);
  await using proxy = await startTestProxy(routeTo(backend.port, "clear"));
  await using client = await connectRaw(proxy.ports[0]!);
  await until(() => proxy.connections() === 1, "the client to be accepted");
  await requireCertificates(proxy, (text) => text.replace("unsafe_allow_plaintext = true", ""));
  await client.send(startupMessage());
  await refused(proxy, client.readSome());
  assert.equal(backend.accepted, 0);
});

Deno.test("a client that was told there is no TLS must not go on in clear once there is", async () => {
  await using backend = await startFakeBackend(serve);
  const { listener: { server_cert, server_key } } = routeTo(backend.port, "clear");
  await using proxy = await startTestProxy({
    listener: { tls_enabled: false },
    backend: { address: `127.0.0.1:${backend.port}`, tls_enabled: false },
  });
  await using client = await connectRaw(proxy.ports[0]!);
  await client.send(SSL_REQUEST);
  assert.equal(textOf(await client.read(1)), "N");
  await proxy.replace("server.pem", String(server_cert));
  await proxy.replace("server.key", String(server_key));
  const files = 'server_cert = "server.pem"\nserver_key = "server.key"';
  await requireCertificates(proxy, (text) => text.replace("tls_enabled = false", files));
  await client.send(startupMessage());
  await refused(proxy, client.readSome());
  assert.equal(backend.accepted, 0);
});

async function requireCertificates(proxy: TestProxy, edit: (text: string) => string): Promise<void> {
  await proxy.replace("client-ca.pem", clientCa.certPem);
  const text = edit(await Deno.readTextFile(join(proxy.dir, "pgtls.toml")));
  const keys = 'mtls = true\nclient_ca = "client-ca.pem"';
  await proxy.replace("pgtls.toml", text.replace("[proxy.listener]", `[proxy.listener]\n${keys}`));
  const { last } = await proxy.reload();
  assert.deepEqual(last.problems, []);
}

async function refused(proxy: TestProxy, answer: Promise<Uint8Array | null>): Promise<void> {
  assert.equal(await answer, null);
  assert.equal((await onlyClosingLine(proxy)).reason, "tls_required");
}
