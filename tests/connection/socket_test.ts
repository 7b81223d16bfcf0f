import assert from "node:assert/strict";
import { closeGracefully, formatAddress, readClient, readSome } from "../../src/connection/socket.ts";
import { StageError } from "../../src/errors.ts";
import { bytesOf } from "../wire/bytes.ts";
import { connectPair } from "./socket_pair.ts";

const FOREVER = new AbortController().signal;

Deno.test("readSome() takes at most the limit and leaves the rest in the socket", async () => {
  await using pair = await connectPair();
  await pair.peer.send(bytesOf("abcdef"));
  assert.deepEqual(Uint8Array.from((await readSome(pair.socket, 2, FOREVER))!), bytesOf("ab"));
  assert.deepEqual(Uint8Array.from((await readSome(pair.socket, 3, FOREVER))!), bytesOf("cde"));
  assert.deepEqual(Uint8Array.from((await readSome(pair.socket, 100, FOREVER))!), bytesOf("f"));
});

Deno.test("readSome() gives null at the end, after the last bytes, as often as it is asked", async () => {
  await using pair = await connectPair();
  await pair.peer.send(bytesOf("last"));
  pair.peer.end();
  assert.equal((await readSome(pair.socket, 100, FOREVER))?.length, 4);
  assert.equal(await readSome(pair.socket, 100, FOREVER), null);
  assert.equal(await readSome(pair.socket, 100, FOREVER), null);
});

Deno.test("readSome() gives null when the socket is destroyed, before or while it waits", async () => {
  await using pair = await connectPair();
  const waiting = readSome(pair.socket, 100, FOREVER);
  pair.socket.destroy();
  assert.equal(await waiting, null);
  assert.equal(await readSome(pair.socket, 100, FOREVER), null);
});

Deno.test("readSome() rejects with the reason of its signal and leaves the socket usable", async () => {
  await using pair = await connectPair();
  const controller = new AbortController();
  const listeners = pair.socket.eventNames().length;
  const waiting = readSome(pair.socket, 100, controller.signal);
  controller.abort(new StageError("startup_timeout", "late"));
  await assert.rejects(waiting, { reason: "startup_timeout" });
  await assert.rejects(readSome(pair.socket, 100, controller.signal), { reason: "startup_timeout" });
  assert.equal(pair.socket.eventNames().length, listeners);
  await pair.peer.send(bytesOf("x"));
  assert.equal((await readSome(pair.socket, 100, FOREVER))?.length, 1);
});

Deno.test("readSome() rejects with the socket's error, while it waits and afterwards", async () => {
  await using pair = await connectPair();
  const waiting = readSome(pair.socket, 100, FOREVER);
  pair.peer.reset();
  await assert.rejects(waiting, { code: "ECONNRESET" });
  await assert.rejects(readSome(pair.socket, 100, FOREVER), { code: "ECONNRESET" });
});

Deno.test("readClient() calls a reset client_lost and passes on the reason of its signal", async () => {
  await using pair = await connectPair();
  const late = AbortSignal.abort(new StageError("server_draining", "draining"));
  await assert.rejects(readClient(pair.socket, 100, late), { reason: "server_draining" });
  const waiting = readClient(pair.socket, 100, FOREVER);
  pair.peer.reset();
  await assert.rejects(waiting, { name: "StageError", reason: "client_lost" });
});

Deno.test("closeGracefully() lets a peer that keeps sending read the message", async () => {
  await using pair = await connectPair();
  const flood = pair.peer.send(new Uint8Array(16 << 20));
  const closed = closeGracefully(pair.socket, bytesOf("sorry"));
  assert.deepEqual(await pair.peer.readAll(), bytesOf("sorry"));
  await flood;
  pair.peer.end();
  await closed;
  assert.equal(pair.socket.destroyed, true);
  assert.equal(pair.peer.socket.errored, null, "closed by a reset");
});

Deno.test("closeGracefully() closes at once when the peer has ended its direction before", async () => {
  await using pair = await connectPair();
  pair.peer.end();
  assert.equal(await readSome(pair.socket, 100, FOREVER), null);
  const closed = closeGracefully(pair.socket, bytesOf("sorry"));
  assert.deepEqual(await pair.peer.readAll(), bytesOf("sorry"));
  await closed;
});

Deno.test("closeGracefully() does not wait for ever for a peer that stays", async () => {
  await using pair = await connectPair();
  await closeGracefully(pair.socket, bytesOf("sorry"));
  assert.equal(pair.socket.destroyed, true);
});

Deno.test("closeGracefully() has nothing to do on a destroyed socket", async () => {
  await using pair = await connectPair();
  pair.socket.destroy();
  await closeGracefully(pair.socket, bytesOf("sorry"));
});

Deno.test("formatAddress() puts IPv6 addresses in brackets", () => {
  assert.equal(formatAddress("127.0.0.1", 5432), "127.0.0.1:5432");
  assert.equal(formatAddress("::1", 5432), "[::1]:5432");
  assert.equal(formatAddress(undefined, undefined), "unknown");
});
