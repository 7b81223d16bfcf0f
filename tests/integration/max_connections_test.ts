/** max_connections counts sessions: one too many is told so, a cancel needs no place, and every place comes back. */
import assert from "node:assert/strict";
import { MAX_CANCELS } from "../../src/connection/route.ts";
import { CANCEL_REQUEST } from "../wire/bytes.ts";
import { closingLines, eventually, until } from "../support/closing_lines.ts";
import { admit, readPacket, serve, startFakeBackend, WELCOME } from "../support/fake_backend.ts";
import type { PeerStream } from "../support/peer_stream.ts";
import type { TestProxy } from "../support/proxy.ts";
import {
  answerTo,
  connectRaw,
  connectRawTls,
  readError,
  startupMessage,
  TERMINATE,
} from "../support/raw_client.ts";
import { startProxyTo } from "../support/two_legs.ts";

Deno.test("the session after max_connections gets 53300 and never reaches the backend", async () => {
  await using backend = await startFakeBackend(serve);
  await using proxy = await startProxyTo(backend.port, "clear", { listener: { max_connections: 2 } });
  await using _first = await openSession(proxy);
  await using _second = await openSession(proxy);
  const third = await connectRawTls(proxy.ports[0]!);
  await third.send(startupMessage());
  const { sqlstate, message } = await readError(third);
  assert.deepEqual([sqlstate, message], ["53300", "too many connections for this route"]);
  const [line] = await proxy.closed(1);
  assert.equal(line?.reason, "limit_reached");
  assert.equal(backend.accepted, 2);
});

Deno.test("a CancelRequest gets through a full route", async () => {
  const cancelled = Promise.withResolvers<Uint8Array>();
  await using backend = await startFakeBackend(async (peer) => {
    const packet = await readPacket(peer);
    if (packet.length !== CANCEL_REQUEST.length) return await peer.send(WELCOME);
    cancelled.resolve(packet);
    peer.end();
  });
  await using proxy = await startProxyTo(backend.port, "clear", { listener: { max_connections: 1 } });
  await using _session = await openSession(proxy);
  await using canceller = await connectRaw(proxy.ports[0]!);
  await canceller.send(CANCEL_REQUEST);
  assert.equal((await canceller.readAll()).length, 0);
  assert.deepEqual(await eventually(cancelled.promise, "the CancelRequest"), CANCEL_REQUEST);
});

Deno.test("a route forwards only so many CancelRequests at a time, and the next one when a place is free", async () => {
  const mayClose = Promise.withResolvers<void>();
  await using backend = await startFakeBackend(async (peer) => {
    await readPacket(peer);
    await mayClose.promise;
    peer.end();
  });
  await using proxy = await startProxyTo(backend.port, "clear");
  const port = proxy.ports[0]!;
  await using cancellers = new AsyncDisposableStack();
  for (let i = 0; i < MAX_CANCELS; i++) {
    const canceller = cancellers.use(await connectRaw(port));
    await canceller.send(CANCEL_REQUEST);
  }
  await until(() => backend.accepted === MAX_CANCELS, "all of them to be forwarded");
  await using refused = await connectRaw(port);
  await refused.send(CANCEL_REQUEST);
  await refused.closed();
  assert.equal((await proxy.closed(1))[0]?.reason, "limit_reached");
  assert.equal(backend.accepted, MAX_CANCELS);
  mayClose.resolve();
  await proxy.closed(MAX_CANCELS + 1);
  await answerTo(port, CANCEL_REQUEST);
  assert.equal((await closingLines(proxy)).at(-1)?.reason, "cancel_forwarded");
});

Deno.test("a place comes back however its session ended", async (t) => {
  let behaviour: (peer: PeerStream) => Promise<void> = serve;
  await using backend = await startFakeBackend((peer) => behaviour(peer));
  await using proxy = await startProxyTo(backend.port, "clear", { listener: { max_connections: 1 } });

  await t.step("after Terminate", async () => {
    await using session = await openSession(proxy);
    await session.send(TERMINATE);
    session.end();
    await checkFree(proxy);
  });
  await t.step("after a reset by the client", async () => {
    await using session = await openSession(proxy);
    session.reset();
    await checkFree(proxy);
  });
  await t.step("after a refusal for want of a place", async () => {
    await using session = await openSession(proxy);
    await using refused = await connectRawTls(proxy.ports[0]!);
    await refused.send(startupMessage());
    assert.equal((await readError(refused)).sqlstate, "53300");
    session.end();
    await checkFree(proxy);
  });
  await t.step("after the backend has crashed", async () => {
    const mayCrash = Promise.withResolvers<void>();
    behaviour = async (peer) => {
      await admit(peer);
      await mayCrash.promise;
      peer.reset();
    };
    await using session = await openSession(proxy);
    mayCrash.resolve();
    assert.equal((await readError(session)).sqlstate, "08006");
    await checkFree(proxy);
  });
  await t.step("after the backend could not be reached", async () => {
    await using silent = await startProxyTo(backend.port, "TLS", {
      listener: { max_connections: 1 },
      backend: { connect_timeout: "200ms" },
    });
    behaviour = () => Promise.resolve();
    for (let attempt = 0; attempt < 2; attempt++) {
      await using client = await connectRawTls(silent.ports[0]!);
      await client.send(startupMessage());
      assert.equal((await readError(client)).sqlstate, "08001");
      await closingLines(silent);
    }
  });
});

async function openSession(proxy: TestProxy): Promise<PeerStream> {
  const client = await connectRawTls(proxy.ports[0]!);
  await client.send(startupMessage());
  assert.deepEqual(await client.read(WELCOME.length), WELCOME);
  return client;
}

/** Waits for every connection's closing line, and then takes the only place once more. */
async function checkFree(proxy: TestProxy): Promise<void> {
  await closingLines(proxy);
  await using session = await openSession(proxy);
  session.reset();
  await closingLines(proxy);
}
