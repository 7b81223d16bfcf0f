/** A drain takes nobody new, ends who is idle, waits for who is busy, and cuts what remains after drain_timeout. */
import assert from "node:assert/strict";
import { bytesOf } from "../wire/bytes.ts";
import { closingLines, eventually, onlyClosingLine, until } from "../support/closing_lines.ts";
import { admit, DONE, READY, startFakeBackend, WELCOME } from "../support/fake_backend.ts";
import { isEvent } from "../support/proxy.ts";
import { connectRaw, connectRawTls, query, readError, startupMessage } from "../support/raw_client.ts";
import { ALL_LEGS, connectOver, speak, startProxyTo } from "../support/two_legs.ts";

const QUERY = query("SELECT pg_sleep(1)");
/** Longer than any test takes: what ends by itself does so before. */
const LONG_MS = 60_000;

for (const legs of ALL_LEGS) {
  Deno.test(`a drain ends an idle session with 57P01 and lets a running query finish: ${legs.name}`, async () => {
    const asked = Promise.withResolvers<void>();
    const mayAnswer = Promise.withResolvers<void>();
    await using backend = await startFakeBackend(async (tcp) => {
      const peer = await speak(tcp, legs.backend);
      await admit(peer);
      await peer.read(QUERY.length);
      asked.resolve();
      await mayAnswer.promise;
      await peer.send(bytesOf(DONE, READY));
    });
    await using proxy = await startProxyTo(backend.port, legs.backend);
    await using idle = await connectOver(legs.client, proxy);
    await using busy = await connectOver(legs.client, proxy);
    for (const client of [idle, busy]) {
      await client.send(startupMessage());
      assert.deepEqual(await client.read(WELCOME.length), WELCOME);
    }
    const expected = 2 * (startupMessage().length + WELCOME.length);
    await busy.send(QUERY);
    await eventually(asked.promise, "the query");
    const drained = proxy.drain(LONG_MS);
    assert.equal((await readError(idle)).sqlstate, "57P01");
    await assert.rejects(connectRaw(proxy.ports[0]!), /ECONNREFUSED/);
    mayAnswer.resolve();
    assert.deepEqual(await busy.read(DONE.length + READY.length), bytesOf(DONE, READY));
    assert.equal((await readError(busy)).sqlstate, "57P01");
    assert.equal(await eventually(drained, "the drain"), 0);
    assert.equal(proxy.connections(), 0);
    const lines = await closingLines(proxy);
    assert.deepEqual(lines.map(({ reason }) => reason), ["server_draining", "server_draining"]);
    const bytes = lines.reduce((sum, line) => sum + line.bytes_from_client + line.bytes_from_backend, 0);
    assert.equal(bytes, expected + QUERY.length + DONE.length + READY.length);
  });
}

for (const [status, name] of [["T", "an open transaction"], ["E", "a failed transaction"]] as const) {
  Deno.test(`a drain lets ${name} go on until it ends`, async () => {
    await using backend = await startFakeBackend(async (peer) => {
      await admit(peer);
      await peer.read(QUERY.length);
      await peer.send(bytesOf(DONE, "Z\0\0\0\x05", status));
      await peer.read(QUERY.length);
      await peer.send(bytesOf(DONE, READY));
    });
    await using proxy = await startProxyTo(backend.port, "clear");
    await using client = await connectRawTls(proxy.ports[0]!);
    await client.send(startupMessage());
    await client.read(WELCOME.length);
    await client.send(QUERY);
    await client.read(DONE.length + READY.length);
    const drained = proxy.drain(LONG_MS);
    // Twice as long as an idle session would be left alone.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await client.send(QUERY);
    assert.deepEqual(await client.read(DONE.length + READY.length), bytesOf(DONE, READY));
    assert.equal((await readError(client)).sqlstate, "57P01");
    assert.equal(await eventually(drained, "the drain"), 0);
  });
}

Deno.test("drain_timeout cuts a query that does not end, and the client reads why", async () => {
  const asked = Promise.withResolvers<void>();
  await using backend = await startFakeBackend(async (peer) => {
    await admit(peer);
    await peer.read(QUERY.length);
    asked.resolve();
  });
  await using proxy = await startProxyTo(backend.port, "clear");
  await using client = await connectRawTls(proxy.ports[0]!);
  await client.send(startupMessage());
  await client.read(WELCOME.length);
  await client.send(QUERY);
  await eventually(asked.promise, "the query");
  const drained = proxy.drain(100);
  assert.equal((await readError(client)).sqlstate, "57P01");
  assert.equal(await eventually(drained, "the drain"), 1);
  assert.equal((await onlyClosingLine(proxy)).reason, "server_draining");
});

Deno.test("drain_timeout cuts a session inside a message without a word", async () => {
  await using backend = await startFakeBackend(async (peer) => {
    await admit(peer);
    await peer.send(DONE.subarray(0, 7));
  });
  await using proxy = await startProxyTo(backend.port, "clear");
  await using client = await connectRawTls(proxy.ports[0]!);
  await client.send(startupMessage());
  await client.read(WELCOME.length + 7);
  const drained = proxy.drain(100);
  assert.equal((await client.readAll()).length, 0);
  assert.equal(await eventually(drained, "the drain"), 1);
  assert.equal((await onlyClosingLine(proxy)).reason, "server_draining");
});

Deno.test("a drain ends clients that have not yet asked for anything", async () => {
  await using backend = await startFakeBackend(admit);
  await using proxy = await startProxyTo(backend.port, "clear");
  await using silent = await connectRaw(proxy.ports[0]!);
  await using inTls = await connectRawTls(proxy.ports[0]!);
  await until(() => proxy.connections() === 2, "both to be accepted");
  await proxy.waitFor(isEvent("handshake.completed"));
  const drained = proxy.drain(LONG_MS);
  assert.equal((await readError(inTls)).sqlstate, "57P03");
  assert.equal((await readError(silent)).sqlstate, "57P03");
  assert.equal(await eventually(drained, "the drain"), 0);
  assert.deepEqual((await closingLines(proxy)).map(({ reason }) => reason), [
    "server_draining",
    "server_draining",
  ]);
});

Deno.test("a drain that is out of patience ends a client whose backend is still being dialled", async () => {
  await using backend = await startFakeBackend(() => Promise.resolve());
  await using proxy = await startProxyTo(backend.port, "TLS", { backend: { connect_timeout: "1h" } });
  await using client = await connectRawTls(proxy.ports[0]!);
  await client.send(startupMessage());
  await until(() => backend.accepted === 1, "the backend to be dialled");
  assert.equal(await proxy.drain(0), 1);
  await client.closed();
  await onlyClosingLine(proxy);
});
