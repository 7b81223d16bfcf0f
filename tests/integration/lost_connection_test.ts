/** A side that vanishes: the other is told where a message may stand, never inside one, and nobody is left hanging. */
import assert from "node:assert/strict";
import { decodeErrorResponse } from "../../src/wire/error_response.ts";
import { bytesOf } from "../wire/bytes.ts";
import { eventually, onlyClosingLine, until } from "../support/closing_lines.ts";
import { admit, DONE, readPacket, READY, startFakeBackend, WELCOME } from "../support/fake_backend.ts";
import { startupMessage, TERMINATE } from "../support/raw_client.ts";
import { ALL_LEGS, connectOver, speak, startProxyTo } from "../support/two_legs.ts";

/** The first half of a DataRow. */
const HALF_A_MESSAGE = bytesOf("D\0\0\0\x40half of a row");

for (const legs of ALL_LEGS) {
  for (const how of ["end", "reset"] as const) {
    Deno.test(`a backend lost between messages (${how}) is told as 08006: ${legs.name}`, async () => {
      const mayGo = Promise.withResolvers<void>();
      await using backend = await startFakeBackend(async (tcp) => {
        const peer = await speak(tcp, legs.backend);
        await admit(peer);
        await mayGo.promise;
        peer[how]();
      });
      await using proxy = await startProxyTo(backend.port, legs.backend);
      await using client = await connectOver(legs.client, proxy);
      await client.send(startupMessage());
      assert.deepEqual(await client.read(WELCOME.length), WELCOME);
      mayGo.resolve();
      const error = decodeErrorResponse(await client.readAll());
      assert.deepEqual([error.severity, error.sqlstate], ["FATAL", "08006"]);
      client.end();
      const line = await onlyClosingLine(proxy);
      assert.equal(line.reason, "backend_lost");
      assert.equal(line.bytes_from_backend, WELCOME.length);
    });

    Deno.test(`a backend lost inside a message (${how}) ends the client's stream without a word: ${legs.name}`, async () => {
      const mayGo = Promise.withResolvers<void>();
      await using backend = await startFakeBackend(async (tcp) => {
        const peer = await speak(tcp, legs.backend);
        await admit(peer);
        await peer.send(HALF_A_MESSAGE);
        await mayGo.promise;
        peer[how]();
      });
      await using proxy = await startProxyTo(backend.port, legs.backend);
      await using client = await connectOver(legs.client, proxy);
      await client.send(startupMessage());
      await client.read(WELCOME.length);
      assert.deepEqual(await client.read(HALF_A_MESSAGE.length), HALF_A_MESSAGE);
      mayGo.resolve();
      assert.equal((await client.readAll()).length, 0);
      client.end();
      const line = await onlyClosingLine(proxy);
      // Deno's TLS sockets show a reset as an end.
      const isReset = how === "reset" && legs.backend === "clear";
      assert.equal(line.reason, isReset ? "backend_lost" : "backend_closed");
    });
  }

  Deno.test(`a client that is reset ends its backend's connection: ${legs.name}`, async () => {
    const ended = Promise.withResolvers<void>();
    await using backend = await startFakeBackend(async (tcp) => {
      const peer = await speak(tcp, legs.backend);
      await admit(peer);
      await peer.closed();
      ended.resolve();
    });
    await using proxy = await startProxyTo(backend.port, legs.backend);
    await using client = await connectOver(legs.client, proxy);
    await client.send(startupMessage());
    await client.read(WELCOME.length);
    client.reset();
    await eventually(ended.promise, "the backend to be closed");
    const line = await onlyClosingLine(proxy);
    // Deno's TLS sockets show a reset as an end.
    assert.equal(line.reason, legs.client === "TLS" ? "client_closed" : "client_lost");
    assert.equal(line.bytes_from_client, startupMessage().length);
  });

  Deno.test(`a client lost while the backend is dialled leaves no session behind: ${legs.name}`, async () => {
    const mayAnswer = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    await using backend = await startFakeBackend(async (tcp) => {
      // In clear there is nothing to wait with: the session has begun when the client goes.
      if (legs.backend === "TLS") await mayAnswer.promise;
      const peer = await speak(tcp, legs.backend);
      await peer.closed();
      ended.resolve();
    });
    await using proxy = await startProxyTo(backend.port, legs.backend);
    await using client = await connectOver(legs.client, proxy);
    await client.send(startupMessage());
    await until(() => backend.accepted === 1, "the backend to be dialled");
    client.reset();
    await client.closed();
    mayAnswer.resolve();
    await eventually(ended.promise, "the backend to be closed");
    assert.match((await onlyClosingLine(proxy)).reason, /^client_(closed|lost)$/);
  });

  Deno.test(`a client that says Terminate and goes is no loss, nor is its backend: ${legs.name}`, async () => {
    await using backend = await startFakeBackend(async (tcp) => {
      const peer = await speak(tcp, legs.backend);
      await admit(peer);
      assert.deepEqual(await peer.read(TERMINATE.length), TERMINATE);
      peer.end();
    });
    await using proxy = await startProxyTo(backend.port, legs.backend);
    await using client = await connectOver(legs.client, proxy);
    await client.send(startupMessage());
    await client.read(WELCOME.length);
    await client.send(TERMINATE);
    assert.equal((await client.readAll()).length, 0);
    client.end();
    const line = await onlyClosingLine(proxy);
    assert.equal(line.reason, "client_closed");
    assert.equal(line.detail, null);
  });
}

Deno.test("a backend that ends the session with an error of its own is passed on as it is", async () => {
  const farewell = bytesOf("E\0\0\0\x1dSFATAL\0C57P01\0Mterminated\0\0");
  await using backend = await startFakeBackend(async (peer) => {
    await readPacket(peer);
    await peer.send(bytesOf(WELCOME, DONE, READY, farewell));
    peer.end();
  });
  await using proxy = await startProxyTo(backend.port, "clear");
  await using client = await connectOver("TLS", proxy);
  await client.send(startupMessage());
  assert.deepEqual(await client.readAll(), bytesOf(WELCOME, DONE, READY, farewell));
  client.end();
  assert.equal((await onlyClosingLine(proxy)).reason, "backend_closed");
});
