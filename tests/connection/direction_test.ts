import assert from "node:assert/strict";
import { Direction } from "../../src/connection/direction.ts";
import { Leg } from "../../src/connection/leg.ts";
import { until } from "../support/closing_lines.ts";
import { bytesOf } from "../wire/bytes.ts";
import { connectPair, type SocketPair } from "./socket_pair.ts";

const OWNER = { woken: () => {} };
const FILLING = new Uint8Array(64 << 10).fill(0x66);

Deno.test("Direction begins with what its source has buffered, and then goes past the streams", async () => {
  await using copy = await startCopy(({ socket }) => socket.unshift(bytesOf("kept back, ")));
  await copy.source.peer.send(bytesOf("sent later"));
  assert.deepEqual(await copy.sink.peer.read(21), bytesOf("kept back, sent later"));
  let seen = 0;
  copy.source.socket.on("data", () => seen++);
  await copy.source.peer.send(bytesOf(", sent last"));
  assert.deepEqual(await copy.sink.peer.read(11), bytesOf(", sent last"));
  assert.equal(seen, 0);
  assert.deepEqual(copy.chunks, ["kept back, ", "sent later", ", sent last"]);
});

Deno.test("Direction writes behind what waits in its sink's stream", async () => {
  const filled = 256 * FILLING.length;
  await using copy = await startCopy((_, { socket }) => {
    // More than the sockets between the two ends can hold.
    for (let i = 0; i < 256; i++) socket.write(FILLING);
  });
  await copy.source.peer.send(bytesOf("first"));
  await until(() => copy.chunks.length === 1, "the first chunk");
  assert.ok(copy.sink.socket.writableLength > 0);
  for (let left = filled; left > 0; left -= FILLING.length) {
    assert.deepEqual(await copy.sink.peer.read(FILLING.length), FILLING);
  }
  assert.deepEqual(await copy.sink.peer.read(5), bytesOf("first"));
  await copy.source.peer.send(bytesOf("second"));
  assert.deepEqual(await copy.sink.peer.read(6), bytesOf("second"));
});

Deno.test("Direction.finish() ends the sink behind the last byte that waits for it", async () => {
  await using copy = await startCopy();
  copy.source.socket.once("end", () => copy.direction.finish());
  const large = new Uint8Array(16 << 20).fill(0x6c);
  const sent = copy.source.peer.send(large);
  copy.source.peer.end();
  await until(() => !isDrained(copy.direction), "the sink to be full");
  assert.equal(await copy.sink.peer.countAll(), large.length);
  await sent;
});

Deno.test("Direction.stop() drops what comes later and lets the sink have what was read", async () => {
  await using copy = await startCopy();
  await copy.source.peer.send(bytesOf("before"));
  assert.deepEqual(await copy.sink.peer.read(6), bytesOf("before"));
  copy.direction.stop();
  copy.source.socket.resume();
  const before = copy.source.socket.bytesRead;
  await copy.source.peer.send(bytesOf("after"));
  await until(() => copy.source.socket.bytesRead > before, "the bytes to be read");
  copy.source.peer.end();
  await until(() => copy.source.socket.readableEnded, "the source's end");
  copy.direction.finish();
  assert.equal((await copy.sink.peer.readAll()).length, 0);
  assert.deepEqual(copy.chunks, ["before"]);
});

interface Copy extends AsyncDisposable {
  readonly source: SocketPair;
  readonly sink: SocketPair;
  readonly direction: Direction;
  /** What has been copied so far. */
  readonly chunks: string[];
}

function isDrained(direction: Direction): boolean {
  let isDrained = false;
  direction.whenDrained(() => isDrained = true);
  return isDrained;
}

async function startCopy(prepare?: (source: SocketPair, sink: SocketPair) => void): Promise<Copy> {
  const source = await connectPair();
  const sink = await connectPair();
  prepare?.(source, sink);
  const chunks: string[] = [];
  const direction = new Direction(new Leg(source.socket, OWNER), new Leg(sink.socket, OWNER), {
    moved: () => {},
    passes: (chunk) => void chunks.push(new TextDecoder().decode(chunk)),
  });
  direction.start();
  return {
    source,
    sink,
    direction,
    chunks,
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]();
      await sink[Symbol.asyncDispose]();
    },
  };
}
