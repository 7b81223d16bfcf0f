/** Every byte arrives once and in order, however unevenly both sides send and read, on every combination of legs. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { eventually, onlyClosingLine } from "../support/closing_lines.ts";
import { admit, startFakeBackend, WELCOME } from "../support/fake_backend.ts";
import type { PeerStream } from "../support/peer_stream.ts";
import { Random } from "../support/random.ts";
import { startupMessage } from "../support/raw_client.ts";
import { ALL_LEGS, connectOver, speak, startProxyTo } from "../support/two_legs.ts";

const STREAM_BYTES = 12 << 20;

for (const [i, legs] of ALL_LEGS.entries()) {
  Deno.test(`both sides send 12 MB at once and read by fits and starts: ${legs.name}`, async () => {
    const seed = 1_000 * (i + 1);
    const checked = Promise.withResolvers<void>();
    await using backend = await startFakeBackend(async (tcp) => {
      const peer = await speak(tcp, legs.backend);
      await admit(peer);
      await exchange(peer, { sends: seed + 1, expects: seed + 2 }).then(checked.resolve, checked.reject);
    });
    await using proxy = await startProxyTo(backend.port, legs.backend);
    await using client = await connectOver(legs.client, proxy);
    await client.send(startupMessage());
    await client.read(WELCOME.length);
    await Promise.all([
      exchange(client, { sends: seed + 2, expects: seed + 1 }),
      eventually(checked.promise, "the backend's half"),
    ]);
    const line = await onlyClosingLine(proxy);
    assert.equal(line.bytes_from_client, startupMessage().length + STREAM_BYTES);
    assert.equal(line.bytes_from_backend, WELCOME.length + STREAM_BYTES);
  });
}

/** Sends one stream and checks the other, both at once, then ends. */
async function exchange(
  peer: PeerStream,
  { sends, expects }: { sends: number; expects: number },
): Promise<void> {
  await Promise.all([send(peer, sends), check(peer, expects)]);
}

/** Messages of a few bytes, in bursts, and now and then a large one. */
async function send(peer: PeerStream, seed: number): Promise<void> {
  const pattern = new Pattern(seed);
  const random = new Random(seed ^ 0x5eed);
  for (let left = STREAM_BYTES; left > 0;) {
    const size = Math.min(left, 1 + random.below(random.oneIn(4) ? 300_000 : 3_000));
    const sent = peer.send(pattern.next(size));
    if (random.oneIn(3)) await sent;
    left -= size;
  }
  peer.end();
}

async function check(peer: PeerStream, seed: number): Promise<void> {
  const pattern = new Pattern(seed);
  const random = new Random(seed ^ 0xdead);
  let received = 0;
  while (true) {
    const bytes = await peer.readSome();
    if (bytes === null) break;
    // Not deepEqual: the difference of two large arrays takes minutes to print.
    assert.ok(
      Buffer.compare(bytes, pattern.next(bytes.length)) === 0,
      `not what was sent: behind byte ${received}`,
    );
    received += bytes.length;
    if (random.oneIn(5)) await new Promise((resolve) => setTimeout(resolve, random.below(8)));
  }
  assert.equal(received, STREAM_BYTES);
}

/** A stream of bytes that a seed repeats; no piece of it is like another. */
class Pattern {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  next(size: number): Uint8Array {
    const bytes = new Uint8Array(size);
    for (let i = 0; i < size; i++) {
      this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
      bytes[i] = this.#state >>> 24;
    }
    return bytes;
  }
}
