import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { relay, type RelayOptions } from "../../src/connection/relay.ts";
import type { Session } from "../../src/connection/session.ts";
import { StageError } from "../../src/errors.ts";
import { until } from "../support/closing_lines.ts";
import type { PeerStream } from "../support/peer_stream.ts";
import { bytesOf } from "../wire/bytes.ts";
import { connectPair } from "./socket_pair.ts";

const READY = bytesOf("Z\0\0\0\x05I");
const FILLING = new Uint8Array(64 << 10);
const TERMINATE = bytesOf("X\0\0\0\x04");

Deno.test("relay() copies both ways and ends when both directions have", async () => {
  await using relayed = await startRelay();
  const { client, backend, session } = relayed;
  await client.send(bytesOf("question"));
  assert.deepEqual(await backend.read(8), bytesOf("question"));
  await backend.send(bytesOf("answer"));
  assert.deepEqual(await client.read(6), bytesOf("answer"));
  client.end();
  assert.equal((await backend.readAll()).length, 0);
  await backend.send(bytesOf("more"));
  assert.deepEqual(await client.read(4), bytesOf("more"));
  backend.end();
  assert.deepEqual(await session.ended, { reason: "client_closed", error: null, canAnswer: false });
});

Deno.test("relay() has not ended while the backend is still taking the last bytes of a client that has gone", async () => {
  await using relayed = await startRelay();
  const { client, backend, session, sockets } = relayed;
  await backend.send(bytesOf("D\0\0\0"));
  backend.end();
  assert.deepEqual(await client.readAll(), bytesOf("D\0\0\0"));
  let filled = 0;
  for (; sockets.backend.writableLength === 0; filled += FILLING.length) sockets.backend.write(FILLING);
  let hasEnded = false;
  session.ended.then(() => hasEnded = true);
  await client.send(bytesOf("last"));
  client.end();
  await until(() => sockets.client.closed, "the client to be gone");
  assert.equal(hasEnded, false);
  assert.equal(await backend.countAll(), filled + "last".length);
  assert.equal((await session.ended).reason, "backend_closed");
});

Deno.test("relay() says backend_closed when the backend ends first, inside a message", async () => {
  await using relayed = await startRelay();
  await relayed.backend.send(bytesOf("D\0\0\0"));
  relayed.backend.end();
  assert.deepEqual(await relayed.client.readAll(), bytesOf("D\0\0\0"));
  relayed.client.end();
  assert.equal((await relayed.session.ended).reason, "backend_closed");
});

Deno.test("relay() says backend_lost, and that it can be told, when the backend ends between messages", async () => {
  await using relayed = await startRelay();
  await relayed.backend.send(READY);
  relayed.backend.end();
  const { reason, canAnswer } = await relayed.session.ended;
  assert.deepEqual([reason, canAnswer], ["backend_lost", true]);
});

Deno.test("relay() says client_closed once the client has said Terminate, though the backend's end comes first", async () => {
  await using relayed = await startRelay();
  await relayed.backend.send(READY);
  await relayed.client.read(READY.length);
  await relayed.client.send(TERMINATE);
  await relayed.backend.read(TERMINATE.length);
  relayed.backend.end();
  assert.equal((await relayed.client.readAll()).length, 0);
  relayed.client.end();
  const { reason, error } = await relayed.session.ended;
  assert.deepEqual([reason, error], ["client_closed", null]);
});

Deno.test("relay() says who was lost by a reset", async () => {
  await using first = await startRelay();
  first.client.reset();
  assert.deepEqual(await reasonAndAnswer(first.session), ["client_lost", false]);
  await using second = await startRelay();
  second.backend.reset();
  assert.deepEqual(await reasonAndAnswer(second.session), ["backend_lost", false]);
});

Deno.test("relay() ends at once when the client was lost before it began", async () => {
  await using client = await connectPair();
  await using backend = await connectPair();
  client.socket.destroy();
  await until(() => client.socket.closed, "the client to be gone");
  const session = relay(client.socket, backend.socket, { idleTimeoutMs: 0 });
  assert.deepEqual(await reasonAndAnswer(session), ["client_lost", false]);
});

Deno.test("relay() passes on the end of a client that had ended its direction before it began", async () => {
  await using client = await connectPair();
  await using backend = await connectPair();
  client.peer.end();
  client.socket.read(0);
  await until(() => client.socket.readableEnded, "the client's end");
  const session = relay(client.socket, backend.socket, { idleTimeoutMs: 0 });
  assert.equal((await backend.peer.readAll()).length, 0);
  backend.peer.end();
  assert.equal((await session.ended).reason, "client_closed");
});

Deno.test("relay() begins with what either side has said already", async () => {
  const unread = { fromClient: bytesOf("asked, "), fromBackend: bytesOf("answered, "), ends: null };
  await using relayed = await startRelay({ idleTimeoutMs: 0, handOver: () => unread });
  const { client, backend, session } = relayed;
  await client.send(bytesOf("more"));
  assert.deepEqual(await backend.read(11), bytesOf("asked, more"));
  await backend.send(READY);
  assert.deepEqual(await client.read(16), bytesOf("answered, ", READY));
  assert.equal(session.isIdle(), true);
});

Deno.test("relay() passes on what was said by sides that have ended since, and their ends", async () => {
  await using client = await connectPair();
  await using backend = await connectPair();
  for (const { peer, socket } of [client, backend]) {
    peer.end();
    socket.read(0);
    await until(() => socket.readableEnded, "the end");
  }
  const unread = { fromClient: TERMINATE, fromBackend: bytesOf("last words"), ends: null };
  const session = relay(client.socket, backend.socket, { idleTimeoutMs: 0, handOver: () => unread });
  assert.deepEqual(await client.peer.readAll(), bytesOf("last words"));
  assert.deepEqual(await backend.peer.readAll(), TERMINATE);
  assert.deepEqual(await session.ended, { reason: "client_closed", error: null, canAnswer: false });
});

Deno.test("relay() passes on what a backend said that ended and is gone", async () => {
  await using client = await connectPair();
  await using backend = await connectPair();
  backend.peer.end();
  backend.socket.read(0);
  await until(() => backend.socket.readableEnded, "the end");
  backend.socket.destroy();
  await until(() => backend.socket.closed, "the backend to be gone");
  const unread = { fromClient: bytesOf(), fromBackend: bytesOf("last words"), ends: null };
  const session = relay(client.socket, backend.socket, { idleTimeoutMs: 0, handOver: () => unread });
  assert.deepEqual(await client.peer.readAll(), bytesOf("last words"));
  client.peer.end();
  assert.equal((await session.ended).reason, "backend_closed");
});

Deno.test("relay() ends a silent session with idle_timeout", async () => {
  await using relayed = await startRelay({ idleTimeoutMs: 20 });
  const { reason, error } = await relayed.session.ended;
  assert.equal(reason, "idle_timeout");
  assert.equal(error?.message, "No byte in either direction for 20 ms (idle_timeout)");
});

Deno.test("Session.end() ends it with the given reason; the first reason stays", async () => {
  await using relayed = await startRelay();
  await relayed.backend.send(READY);
  await until(() => relayed.session.isIdle(), "the session to be idle");
  relayed.session.end(new StageError("server_draining", "pgtls is shutting down"));
  relayed.session.end(new StageError("idle_timeout", "too late"));
  assert.deepEqual(await reasonAndAnswer(relayed.session), ["server_draining", true]);
});

Deno.test("Session.isIdle() follows the bytes of both directions", async () => {
  await using relayed = await startRelay();
  const { client, backend, session } = relayed;
  assert.equal(session.isIdle(), false);
  await backend.send(READY);
  await until(() => session.isIdle(), "the session to be idle");
  await client.send(bytesOf("Q\0\0\0\x05\0"));
  await backend.read(6);
  assert.equal(session.isIdle(), false);
  await backend.send(READY);
  await until(() => session.isIdle(), "the session to be idle again");
});

interface Relayed extends AsyncDisposable {
  readonly client: PeerStream;
  readonly backend: PeerStream;
  readonly session: Session;
  /** The sockets that the session was given. */
  readonly sockets: { readonly client: Socket; readonly backend: Socket };
}

async function startRelay(options: RelayOptions = { idleTimeoutMs: 0 }): Promise<Relayed> {
  const client = await connectPair();
  const backend = await connectPair();
  const session = relay(client.socket, backend.socket, options);
  return {
    client: client.peer,
    backend: backend.peer,
    session,
    sockets: { client: client.socket, backend: backend.socket },
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await backend[Symbol.asyncDispose]();
    },
  };
}

async function reasonAndAnswer(session: Session): Promise<[string, boolean]> {
  const { reason, canAnswer } = await session.ended;
  return [reason, canAnswer];
}
