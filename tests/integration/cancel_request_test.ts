/** A CancelRequest reaches the backend byte for byte, over TLS where the route has it, and only from who may send one. */
import assert from "node:assert/strict";
import { freePort } from "../../src/demo/ports.ts";
import { bytesOf, CANCEL_CODE, CANCEL_REQUEST, packetOf } from "../wire/bytes.ts";
import { eventually, onlyClosingLine, until } from "../support/closing_lines.ts";
import { readPacket, startFakeBackend } from "../support/fake_backend.ts";
import { makeCa } from "../support/pki.ts";
import { type PostgresServer, startPlainPostgres, startTlsPostgres } from "../support/postgres.ts";
import { startPsql } from "../support/psql.ts";
import { isEvent, type RouteTables, startTestProxy } from "../support/proxy.ts";
import { answerTo, connectRaw, connectRawTls, readError } from "../support/raw_client.ts";
import { ALL_LEGS, ca, connectOver, leaf, routeTo, speak, startProxyTo } from "../support/two_legs.ts";

Deno.test("Ctrl-C in psql cancels the query through pgtls, sslmode=verify-full", async (t) => {
  await t.step("plaintext backend", async () => {
    await using server = await startPlainPostgres();
    await checkCtrlC(server, routeTo(server.port, "clear"));
  });
  await t.step("TLS backend", async () => {
    await using server = await startTlsPostgres({ ca, certificate: leaf });
    await checkCtrlC(server, routeTo(server.port, "TLS"));
  });
});

for (const legs of ALL_LEGS) {
  for (const keyBytes of [4, 32, 256]) {
    Deno.test(`a CancelRequest with a key of ${keyBytes} bytes arrives as it was sent: ${legs.name}`, async () => {
      const key = crypto.getRandomValues(new Uint8Array(keyBytes));
      const request = packetOf(CANCEL_CODE, "\xff\xff\xff\xfe", key);
      const arrived = Promise.withResolvers<Uint8Array>();
      const mayClose = Promise.withResolvers<void>();
      await using backend = await startFakeBackend(async (tcp) => {
        const peer = await speak(tcp, legs.backend);
        const packet = await readPacket(peer);
        arrived.resolve(packet);
        await mayClose.promise;
        peer.end();
        assert.equal((await peer.readAll()).length, 0, "bytes behind the CancelRequest");
      });
      await using proxy = await startProxyTo(backend.port, legs.backend);
      await using client = await connectOver(legs.client, proxy);
      await client.send(request);
      assert.deepEqual(await eventually(arrived.promise, "the CancelRequest"), request);
      // The close is the only answer: it must not come before the backend's own.
      assert.equal(proxy.connections(), 1);
      mayClose.resolve();
      assert.equal((await client.readAll()).length, 0);
      const line = await onlyClosingLine(proxy);
      assert.equal(line.reason, "cancel_forwarded");
      assert.deepEqual([line.bytes_from_client, line.bytes_from_backend], [request.length, 0]);
      const received = proxy.events.find(isEvent("cancel.received"));
      assert.equal(received?.encrypted, legs.client === "TLS");
      assert.equal(proxy.events.find(isEvent("backend.connected"))?.tls !== null, legs.backend === "TLS");
    });
  }
}

Deno.test("bytes behind a CancelRequest are not forwarded", async () => {
  const arrived = Promise.withResolvers<Uint8Array>();
  await using backend = await startFakeBackend(async (peer) => {
    arrived.resolve(await peer.read(CANCEL_REQUEST.length));
    peer.end();
    assert.equal((await peer.readAll()).length, 0);
  });
  await using proxy = await startProxyTo(backend.port, "clear");
  await answerTo(proxy.ports[0]!, bytesOf(CANCEL_REQUEST, "Q\0\0\0\x05\0"));
  assert.deepEqual(await eventually(arrived.promise, "the CancelRequest"), CANCEL_REQUEST);
  await onlyClosingLine(proxy);
});

Deno.test("plaintext_cancel = false refuses a CancelRequest in clear and takes one in TLS", async () => {
  await using backend = await startFakeBackend(async (peer) => {
    assert.deepEqual(await readPacket(peer), CANCEL_REQUEST);
    peer.end();
  });
  await using proxy = await startProxyTo(backend.port, "clear", { listener: { plaintext_cancel: false } });
  assert.equal((await answerTo(proxy.ports[0]!, CANCEL_REQUEST)).length, 0);
  const [refused] = await proxy.closed(1);
  assert.equal(refused?.reason, "plaintext_cancel_refused");
  assert.equal(backend.accepted, 0);
  await using client = await connectRawTls(proxy.ports[0]!);
  await client.send(CANCEL_REQUEST);
  assert.equal((await client.readAll()).length, 0);
  assert.equal((await proxy.closed(2))[1]?.reason, "cancel_forwarded");
});

Deno.test("an encrypted CancelRequest needs the client certificate that the route demands", async () => {
  const clientCa = makeCa({ name: "client CA" });
  await using backend = await startFakeBackend(async (peer) => {
    assert.deepEqual(await readPacket(peer), CANCEL_REQUEST);
    peer.end();
  });
  await using proxy = await startProxyTo(backend.port, "clear", {
    listener: { mtls: true, client_ca: clientCa.certPem, unsafe_allow_plaintext: false },
  });
  await using stranger = await connectRawTls(proxy.ports[0]!);
  await stranger.send(CANCEL_REQUEST);
  const { sqlstate, message } = await readError(stranger);
  assert.deepEqual([sqlstate, message], ["28000", "client certificate required"]);
  assert.equal((await proxy.closed(1))[0]?.reason, "peer_rejected");
  assert.equal(backend.accepted, 0);
  const certificate = clientCa.issue({ name: "alice", purpose: "client" });
  await using known = await connectRawTls(proxy.ports[0]!, { certificate });
  await known.send(CANCEL_REQUEST);
  assert.equal((await known.readAll()).length, 0);
  assert.equal((await proxy.closed(2))[1]?.reason, "cancel_forwarded");
});

Deno.test("a CancelRequest for a backend that nobody listens as is closed", async () => {
  await using proxy = await startProxyTo(freePort(), "clear");
  await using client = await connectRaw(proxy.ports[0]!);
  await client.send(CANCEL_REQUEST);
  await client.closed();
  assert.equal((await onlyClosingLine(proxy)).reason, "backend_unreachable");
});

/** Sends SIGINT to a psql that waits for pg_sleep, as a terminal does on Ctrl-C. */
async function checkCtrlC(server: PostgresServer, route: RouteTables): Promise<void> {
  await using proxy = await startTestProxy({
    ...route,
    listener: { ...route.listener, unsafe_allow_plaintext: false },
  });
  const rootCert = `${proxy.dir}/ca.pem`;
  await Deno.writeTextFile(rootCert, ca.certPem);
  const connection = `host=localhost hostaddr=127.0.0.1 port=${proxy.ports[0]} user=alice dbname=demo ` +
    `sslmode=verify-full sslrootcert=${rootCert}`;
  await using client = startPsql(connection, { args: ["-c", "SELECT pg_sleep(600)"] });
  const running = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(600)'";
  await until(async () => (await server.query(running)).length === 1, "pg_sleep to run");
  Deno.kill(client.pid, "SIGINT");
  const { code, stderr } = await client.exited;
  assert.equal(code, 1);
  assert.match(stderr, /^Cancel request sent\nERROR: {2}canceling statement due to user request\n$/);
  const reasons = (await proxy.closed(2)).map(({ reason }) => reason).sort();
  assert.deepEqual(reasons, ["cancel_forwarded", "client_closed"]);
  assert.equal(proxy.events.find(isEvent("cancel.received"))?.encrypted, false);
}
