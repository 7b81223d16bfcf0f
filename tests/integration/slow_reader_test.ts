/** A reader that stops holds its sender back: pgtls takes no more from it than the sockets on the way can hold. */
import assert from "node:assert/strict";
import { eventually, onlyClosingLine, until } from "../support/closing_lines.ts";
import { admit, startFakeBackend, WELCOME } from "../support/fake_backend.ts";
import type { PeerStream } from "../support/peer_stream.ts";
import { startupMessage } from "../support/raw_client.ts";
import { ALL_LEGS, connectOver, speak, startProxyTo } from "../support/two_legs.ts";

const CHUNK = new Uint8Array(64 << 10).fill(0x44);
const STREAM_BYTES = 48 << 20;
/** Four socket buffers of Linux at most (4 MB to send, 6 MB to receive), and what pgtls holds itself. */
const HELD_BYTES = 24 << 20;
/** So many looks in a row without a byte moving mean that none will. */
const QUIET_LOOKS = 40;

for (const legs of ALL_LEGS) {
  Deno.test(`a client that stops reading holds the backend back, then gets everything: ${legs.name}`, async () => {
    const sender = new Sender();
    await using backend = await startFakeBackend(async (tcp) => {
      const peer = await speak(tcp, legs.backend);
      await admit(peer);
      await sender.run(peer);
    });
    await using proxy = await startProxyTo(backend.port, legs.backend);
    await using client = await connectOver(legs.client, proxy);
    await client.send(startupMessage());
    await client.read(WELCOME.length);
    await checkHeldBack(sender);
    assert.equal(await client.countAll(), WELCOME.length + STREAM_BYTES);
    client.end();
    const line = await onlyClosingLine(proxy);
    assert.equal(line.reason, "backend_closed");
    assert.equal(line.bytes_from_backend, WELCOME.length + STREAM_BYTES);
  });

  Deno.test(`a backend that stops reading holds the client back, then gets everything: ${legs.name}`, async () => {
    const mayRead = Promise.withResolvers<void>();
    const heard = Promise.withResolvers<number>();
    await using backend = await startFakeBackend(async (tcp) => {
      const peer = await speak(tcp, legs.backend);
      await admit(peer);
      const before = peer.received;
      await mayRead.promise;
      heard.resolve(await peer.countAll() - before);
      peer.end();
    });
    await using proxy = await startProxyTo(backend.port, legs.backend);
    await using client = await connectOver(legs.client, proxy);
    await client.send(startupMessage());
    await client.read(WELCOME.length);
    const sender = new Sender();
    const sent = sender.run(client);
    await checkHeldBack(sender);
    mayRead.resolve();
    await eventually(sent, "the client to get rid of everything");
    assert.equal(await eventually(heard.promise, "the client's end"), STREAM_BYTES);
    await client.closed();
    const line = await onlyClosingLine(proxy);
    assert.equal(line.reason, "client_closed");
    assert.equal(line.bytes_from_client, startupMessage().length + STREAM_BYTES);
  });
}

/** Sends the stream, chunk after chunk, each when the system has taken the one before. */
class Sender {
  #taken = 0;

  /** How many bytes the system has taken. */
  get taken(): number {
    return this.#taken;
  }

  async run(peer: PeerStream): Promise<void> {
    while (this.#taken < STREAM_BYTES) {
      await peer.send(CHUNK);
      this.#taken += CHUNK.length;
    }
    peer.end();
  }
}

/** Waits until nothing moves any more, and looks how much has moved by then. */
async function checkHeldBack(sender: Sender): Promise<void> {
  let last = -1;
  let quietLooks = 0;
  await until(() => {
    quietLooks = sender.taken > 0 && sender.taken === last ? quietLooks + 1 : 0;
    last = sender.taken;
    return quietLooks === QUIET_LOOKS;
  }, "the sender to be held back");
  assert.ok(sender.taken < HELD_BYTES, `${sender.taken} bytes were taken while nobody read`);
}
