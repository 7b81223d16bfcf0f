/** The end of one direction ends that direction only, on every combination of TLS and clear. */
import assert from "node:assert/strict";
import { bytesOf } from "../wire/bytes.ts";
import { eventually, onlyClosingLine } from "../support/closing_lines.ts";
import { readPacket, startFakeBackend } from "../support/fake_backend.ts";
import { query, startupMessage } from "../support/raw_client.ts";
import { ALL_LEGS, connectOver, speak, startProxyTo } from "../support/two_legs.ts";

const QUERY = query("SELECT * FROM big");
const AUTHENTICATION_OK = bytesOf("R\0\0\0\x08\0\0\0\0");
/** Larger than every buffer on the way, and not a multiple of any: its last piece does not hold the sender back. */
const LARGE = new Uint8Array((8 << 20) + 1_000).fill(0x44);

for (const legs of ALL_LEGS) {
  Deno.test(`a client that has ended its direction gets the whole answer: ${legs.name}`, async () => {
    await using backend = await startFakeBackend(async (tcp) => {
      const peer = await speak(tcp, legs.backend);
      await readPacket(peer);
      assert.deepEqual(await peer.readAll(), QUERY);
      await peer.send(LARGE);
      peer.end();
    });
    await using proxy = await startProxyTo(backend.port, legs.backend);
    await using client = await connectOver(legs.client, proxy);
    await client.send(bytesOf(startupMessage(), QUERY));
    client.end();
    assert.equal(await client.countAll(), LARGE.length);
    const line = await onlyClosingLine(proxy);
    assert.equal(line.reason, "client_closed");
    assert.equal(line.bytes_from_client, startupMessage().length + QUERY.length);
    assert.equal(line.bytes_from_backend, LARGE.length);
  });

  Deno.test(`a backend that has ended its direction gets all the client sends: ${legs.name}`, async () => {
    const heard = Promise.withResolvers<number>();
    const mayRead = Promise.withResolvers<void>();
    await using backend = await startFakeBackend(async (tcp) => {
      const peer = await speak(tcp, legs.backend);
      await readPacket(peer);
      const before = peer.received;
      // Deno gives up on writes to a peer that ended without having sent a single byte.
      await peer.send(AUTHENTICATION_OK);
      peer.end();
      await mayRead.promise;
      // Slowly, so that the client has gone while its last bytes are still on their way.
      while (await peer.readSome() !== null) await new Promise((resolve) => setTimeout(resolve, 1));
      heard.resolve(peer.received - before);
    });
    await using proxy = await startProxyTo(backend.port, legs.backend);
    await using client = await connectOver(legs.client, proxy);
    await client.send(startupMessage());
    assert.deepEqual(await client.readAll(), AUTHENTICATION_OK);
    const sent = client.send(LARGE);
    client.end();
    mayRead.resolve();
    await sent;
    assert.equal(await eventually(heard.promise, "the client's end"), LARGE.length);
    const line = await onlyClosingLine(proxy);
    assert.equal(line.reason, "backend_closed");
    assert.equal(line.bytes_from_client, startupMessage().length + LARGE.length);
    assert.equal(line.bytes_from_backend, AUTHENTICATION_OK.length);
  });
}
