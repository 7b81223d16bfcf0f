/** tls_enabled = false: clients that cannot do TLS reach a server that takes nothing else. */
import assert from "node:assert/strict";
import { bytesOf, CANCEL_REQUEST, GSSENC_REQUEST, SSL_REQUEST } from "../wire/bytes.ts";
import { closingLines, eventually, onlyClosingLine } from "../support/closing_lines.ts";
import { readPacket, serve, startFakeBackend, WELCOME } from "../support/fake_backend.ts";
import { textOf } from "../support/peer_stream.ts";
import { startTlsPostgres } from "../support/postgres.ts";
import { psql } from "../support/psql.ts";
import { type RouteTables, startTestProxy } from "../support/proxy.ts";
import { answerTo, connectRaw, readError, startupMessage } from "../support/raw_client.ts";
import { ca, leaf, routeTo, speak } from "../support/two_legs.ts";

const SEEN_BY_BACKEND = "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

Deno.test("psql without TLS reaches a backend that takes TLS only", async () => {
  await using server = await startTlsPostgres({ ca, certificate: leaf });
  await using proxy = await startTestProxy(plaintextRoute(server.port));
  const connection = `host=127.0.0.1 port=${proxy.ports[0]} user=alice dbname=demo`;
  for (const sslmode of ["disable", "allow", "prefer"]) {
    const { code, stdout, stderr } = await psql(`${connection} sslmode=${sslmode}`, {
      args: ["-c", SEEN_BY_BACKEND],
    });
    assert.equal(code, 0, stderr);
    assert.equal(stdout, "t|TLSv1.3\n", sslmode);
  }
  const required = await psql(`${connection} sslmode=require`);
  assert.match(required.stderr, /server does not support SSL, but SSL was required/);
  for (const line of await closingLines(proxy)) {
    assert.equal(line.client_tls, null);
    assert.equal(line.user === null, line.backend_tls === null);
  }
});

Deno.test("a plaintext listener answers N to both requests for encryption and serves the client in clear", async () => {
  await using backend = await startFakeBackend(async (tcp) => await serve(await speak(tcp, "TLS")));
  await using proxy = await startTestProxy(plaintextRoute(backend.port));
  await using client = await connectRaw(proxy.ports[0]!);
  for (const request of [GSSENC_REQUEST, SSL_REQUEST]) {
    await client.send(request);
    assert.equal(textOf(await client.read(1)), "N");
  }
  await client.send(startupMessage());
  assert.deepEqual(await client.read(WELCOME.length), WELCOME);
  client.end();
  assert.equal((await onlyClosingLine(proxy)).reason, "client_closed");
});

Deno.test("a plaintext listener forwards a CancelRequest over TLS, unless plaintext_cancel = false", async () => {
  const arrived = Promise.withResolvers<Uint8Array>();
  await using backend = await startFakeBackend(async (tcp) => {
    const peer = await speak(tcp, "TLS");
    arrived.resolve(await readPacket(peer));
    peer.end();
  });
  await using proxy = await startTestProxy(plaintextRoute(backend.port));
  await using client = await connectRaw(proxy.ports[0]!);
  await client.send(CANCEL_REQUEST);
  assert.deepEqual(await eventually(arrived.promise, "the CancelRequest"), CANCEL_REQUEST);
  await client.closed();
  assert.equal((await onlyClosingLine(proxy)).reason, "cancel_forwarded");
  await using strict = await startTestProxy(plaintextRoute(backend.port, { plaintext_cancel: false }));
  assert.equal((await answerTo(strict.ports[0]!, CANCEL_REQUEST)).length, 0);
  assert.equal((await onlyClosingLine(strict)).reason, "plaintext_cancel_refused");
  assert.equal(backend.accepted, 1);
});

Deno.test("a plaintext listener takes a ClientHello for what it is there: a length out of range", async () => {
  await using backend = await startFakeBackend(() => Promise.resolve());
  await using proxy = await startTestProxy(plaintextRoute(backend.port));
  await using client = await connectRaw(proxy.ports[0]!);
  await client.send(bytesOf(0x16, 3, 1, 0, 0xc0, 1, 0, 0, 0xbc, 3, 3));
  assert.equal((await readError(client)).sqlstate, "08P01");
  assert.equal((await onlyClosingLine(proxy)).reason, "protocol_violation");
  assert.equal(backend.accepted, 0);
});

function plaintextRoute(port: number, listener: Record<string, unknown> = {}): RouteTables {
  return { listener: { tls_enabled: false, ...listener }, backend: routeTo(port, "TLS").backend };
}
