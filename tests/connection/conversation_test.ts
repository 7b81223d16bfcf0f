import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { Conversation } from "../../src/connection/conversation.ts";
import { knowsHandles } from "../../src/connection/native_handle.ts";
import type { ConversationOptions } from "../../src/connection/socket_peer.ts";
import { relay } from "../../src/connection/relay.ts";
import { closeGracefully } from "../../src/connection/socket.ts";
import { StageError } from "../../src/errors.ts";
import { encodeMessage } from "../../src/wire/message.ts";
import { until } from "../support/closing_lines.ts";
import { bytesOf } from "../wire/bytes.ts";
import { connectPair, type SocketPair } from "./socket_pair.ts";

const FIRST = encodeMessage("p", bytesOf("first"));
const LOGIN = bytesOf("the end of the login, ");
const SECOND = encodeMessage("p", bytesOf("second"));

Deno.test("Conversation reads whole messages, in whatever pieces they come, and keeps what is not one", async () => {
  const pieces = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(pieces, async (sizes) => {
      await using talk = await startConversation();
      const sent = bytesOf(FIRST, SECOND, "behind");
      const sending = sendInPieces(talk.client, sent, sizes);
      for (const expected of [FIRST, SECOND]) {
        const message = await talk.conversation.client.read(100);
        assert.deepEqual(Uint8Array.from(message!.bytes), expected);
      }
      await sending;
      const rest = await talk.finish("client");
      assert.deepEqual(rest, bytesOf("behind"));
    }),
    { numRuns: 30 },
  );
});

Deno.test("Conversation.takeUnread() puts what was put ahead in front of what came behind", async () => {
  await using talk = await startConversation();
  const { conversation, backend } = talk;
  await backend.peer.send(bytesOf(FIRST, "behind"));
  await conversation.backend.read(100);
  conversation.backend.putAhead(bytesOf("one, "), bytesOf("two, "));
  assert.deepEqual(await talk.finish("backend"), bytesOf("one, two, behind"));
});

Deno.test("A client that has said more and ended its direction has not left before that was read", async () => {
  await using talk = await startConversation();
  const { conversation, client, backend } = talk;
  await client.peer.send(bytesOf(FIRST, SECOND));
  client.peer.end();
  assert.deepEqual((await conversation.client.read(100))?.body, bytesOf("first"));
  await until(() => client.socket.readableEnded, "the client's end");
  assert.equal(conversation.client.hasLeft, false);
  const answer = conversation.backend.read(100);
  await backend.peer.send(encodeMessage("R", bytesOf("go on")));
  assert.deepEqual((await answer)?.body, bytesOf("go on"));
  assert.deepEqual((await conversation.client.read(100))?.body, bytesOf("second"));
  assert.equal(conversation.client.hasLeft, true);
  assert.equal(await conversation.client.read(100), null);
  assert.equal(await conversation.backend.read(100), null);
});

Deno.test("A side that may finish is read to its end when the other one has left", async () => {
  await using talk = await startConversation();
  const { conversation, client, backend } = talk;
  client.peer.end();
  await until(() => conversation.client.hasLeft, "the client to leave");
  assert.equal(await conversation.backend.read(100), null);
  conversation.backend.finish();
  const answer = conversation.backend.read(100);
  await backend.peer.send(FIRST);
  assert.deepEqual((await answer)?.body, bytesOf("first"));
  backend.peer.end();
  assert.equal(await conversation.backend.read(100), null);
});

Deno.test("A side that ends inside a message has left, and what there is of it can be passed on", async () => {
  await using talk = await startConversation();
  const { conversation, backend } = talk;
  await backend.peer.send(FIRST.subarray(0, 7));
  backend.peer.end();
  assert.equal(await conversation.backend.read(100), null);
  assert.deepEqual(conversation.backend.takeUnread(), FIRST.subarray(0, 7));
});

Deno.test("A wait ends when the other side drops the connection", async () => {
  await using talk = await startConversation();
  const reading = talk.conversation.client.read(100);
  talk.backend.peer.reset();
  assert.equal(await reading, null);
  assert.equal(talk.conversation.backend.hasLeft, true);
});

Deno.test("Where turns count, a wait ends when the other side has said more, read already or not", async () => {
  for (const behind of [SECOND, bytesOf()]) {
    await using talk = await startConversation({ endsOutOfTurn: true });
    const { conversation, backend } = talk;
    await backend.peer.send(bytesOf(FIRST, behind));
    await conversation.backend.read(100);
    const reading = conversation.client.read(100);
    if (behind.length === 0) await backend.peer.send(SECOND);
    assert.equal(await reading, null);
    await until(() => backend.socket.bytesRead === FIRST.length + SECOND.length, "all to have come");
  }
});

Deno.test("A wait ends with the signal's reason", async () => {
  const controller = new AbortController();
  await using talk = await startConversation({ signal: controller.signal });
  const reading = talk.conversation.client.read(100);
  const late = new StageError("auth_timeout", "late");
  controller.abort(late);
  await assert.rejects(reading, (error) => error === late);
});

Deno.test("A client that says far more than it was asked for is held back", async () => {
  await using talk = await startConversation();
  const { conversation, client } = talk;
  const flood = client.peer.send(Buffer.concat([FIRST, new Uint8Array(32 << 20)]));
  assert.deepEqual((await conversation.client.read(100))?.body, bytesOf("first"));
  // Waits for as long as it takes the other side to answer; what can be read meanwhile has a bound.
  const answer = conversation.backend.read(100);
  await talk.backend.peer.send(SECOND);
  await answer;
  assert.ok(conversation.client.takeUnread().length < 128 << 10);
  client.socket.destroy();
  await flood;
});

Deno.test("Who speaks has to wait while the other side does not take what it is told", async () => {
  await using talk = await startConversation();
  const { conversation, client, backend } = talk;
  const notice = encodeMessage("N", new Uint8Array(10_000));
  // More than the sockets between the two ends can hold.
  const notices = Array<Uint8Array>(1_600).fill(notice);
  const sent = backend.peer.send(Buffer.concat(notices));
  const passAll = async () => {
    for (const _ of notices) {
      const message = await conversation.backend.read(10_000);
      assert.equal(conversation.client.isBehind, false);
      conversation.client.write(message!.bytes);
    }
  };
  const readAll = async () => {
    await until(() => conversation.client.isBehind, "the client to be behind");
    for (const _ of notices) assert.deepEqual(await client.peer.read(notice.length), notice);
  };
  await Promise.all([passAll(), readAll()]);
  await sent;
});

Deno.test("A wait for somebody who does not take what it is told ends with the signal, or with the connection", async () => {
  for (const hasGone of [false, true]) {
    const controller = new AbortController();
    await using talk = await startConversation({ signal: controller.signal });
    const { conversation, client, backend } = talk;
    // More than the sockets between the two ends can hold.
    conversation.client.write(new Uint8Array(16 << 20));
    assert.equal(conversation.client.isBehind, true);
    const reading = conversation.backend.read(100);
    await backend.peer.send(FIRST);
    await until(() => conversation.backend.hasUnread, "what the backend has said");
    const late = new StageError("auth_timeout", "late");
    if (hasGone) client.peer.reset();
    else controller.abort(late);
    if (!hasGone) await assert.rejects(reading, (error) => error === late);
    else assert.deepEqual((await reading)?.bytes, FIRST);
    client.socket.destroy();
  }
});

Deno.test("A conversation goes past streams in which nothing waits, and leaves others as they are", async () => {
  await using past = await startConversation();
  assert.equal(past.conversation.client.ends !== null, knowsHandles());
  assert.equal(past.conversation.backend.ends !== null, knowsHandles());
  await using behind = await startConversation({}, ({ socket }) => socket.unshift(bytesOf(FIRST, "kept ")));
  assert.equal(behind.conversation.client.ends, null);
  assert.deepEqual((await behind.conversation.client.read(100))?.body, bytesOf("first"));
  await behind.client.peer.send(bytesOf("back"));
  assert.deepEqual(await behind.finish("client"), bytesOf("kept back"));
});

Deno.test("What was read is wiped where it stood, which others use as well", async () => {
  await using talk = await startConversation();
  const { conversation: { client } } = talk;
  const shared = FIRST.slice();
  assert.equal(client.take(shared), false);
  assert.deepEqual(shared, new Uint8Array(FIRST.length));
  assert.deepEqual((await client.read(100))?.bytes, FIRST);
  client.take(SECOND.slice());
  assert.deepEqual([client.takeUnread(), client.takeUnread()], [SECOND, bytesOf()]);
});

Deno.test("The relay goes on behind what a login has written, as soon as the client takes it", async () => {
  await using talk = await startConversation();
  const { conversation, client, backend } = talk;
  // More than the sockets between the two ends can hold.
  const long = new Uint8Array(16 << 20).fill(0x6c);
  conversation.client.write(long);
  const session = relay(client.socket, backend.socket, {
    idleTimeoutMs: 0,
    handOver: () => conversation.handOver(),
  });
  const answer = new Uint8Array(1 << 20).fill(0x61);
  const sent = backend.peer.send(answer).then(() => backend.peer.end());
  for (let left = long.length; left > 0; left -= 1 << 20) await client.peer.read(1 << 20);
  assert.ok(Buffer.from(answer).equals(await client.peer.read(answer.length)));
  await sent;
  session.destroy();
});

Deno.test("Conversation.release() drops what comes later, and last words go behind what was written", async () => {
  await using talk = await startConversation();
  const { conversation, client } = talk;
  // More than the sockets between the two ends can hold.
  const long = new Uint8Array(16 << 20).fill(0x6c);
  conversation.client.write(bytesOf("so far"));
  conversation.client.write(long);
  conversation.client.write(SECOND);
  const released = conversation.release().then(() => closeGracefully(client.socket, bytesOf("last words")));
  await client.peer.send(FIRST);
  assert.deepEqual(await client.peer.read(6), bytesOf("so far"));
  for (let left = long.length; left > 0; left -= 1 << 20) await client.peer.read(1 << 20);
  assert.deepEqual(await client.peer.read(SECOND.length), SECOND);
  assert.deepEqual(await client.peer.readAll(), bytesOf("last words"));
  client.peer.end();
  await released;
  assert.deepEqual(conversation.client.takeUnread(), bytesOf());
});

Deno.test("The relay takes over from a conversation wherever it stands, and no byte is lost or comes twice", async () => {
  const pieces = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(pieces, pieces, fc.boolean(), async (fromClient, fromBackend, isHeldBack) => {
      await using talk = await startConversation();
      const { conversation, client, backend } = talk;
      const behind = isHeldBack ? new Uint8Array(300_000).fill(0x62) : bytesOf("behind");
      const asked = Buffer.concat([FIRST, behind, bytesOf("!")]);
      const answered = Buffer.concat([SECOND, behind, bytesOf("?")]);
      const sending = [
        sendInPieces(client, asked, isHeldBack ? [asked.length] : fromClient),
        sendInPieces(backend, answered, isHeldBack ? [answered.length] : fromBackend),
      ];
      assert.deepEqual((await conversation.client.read(100))?.bytes, FIRST);
      assert.deepEqual((await conversation.backend.read(100))?.bytes, SECOND);
      conversation.client.write(LOGIN);
      const session = relay(client.socket, backend.socket, {
        idleTimeoutMs: 0,
        handOver: () => conversation.handOver(),
      });
      const rest = asked.subarray(FIRST.length);
      assert.ok(rest.equals(await backend.peer.read(rest.length)));
      const whole = Buffer.concat([LOGIN, answered.subarray(SECOND.length)]);
      assert.ok(whole.equals(await client.peer.read(whole.length)));
      await Promise.all(sending);
      client.peer.end();
      assert.equal((await backend.peer.readAll()).length, 0);
      backend.peer.end();
      assert.equal((await client.peer.readAll()).length, 0);
      assert.equal((await session.ended).error, null);
    }),
    { numRuns: 20 },
  );
});

interface Talk extends AsyncDisposable {
  readonly client: SocketPair;
  readonly backend: SocketPair;
  readonly conversation: Conversation;
  /** Ends the peer's direction; returns all that side has said and nobody has read, from wherever it stands. */
  finish(side: "client" | "backend"): Promise<Uint8Array>;
}

/** @param before What has been done to the client's socket by then. */
async function startConversation(
  options: Partial<ConversationOptions> = {},
  before: (client: SocketPair) => void = () => {},
): Promise<Talk> {
  const [client, backend] = [await connectPair(), await connectPair()];
  before(client);
  const { signal = new AbortController().signal, endsOutOfTurn = false } = options;
  const conversation = new Conversation(client.socket, backend.socket, { signal, endsOutOfTurn });
  return {
    client,
    backend,
    conversation,
    async finish(side) {
      const { fromClient, fromBackend, ends } = conversation.handOver();
      const { socket, peer } = side === "client" ? client : backend;
      const chunks: Uint8Array[] = [side === "client" ? fromClient : fromBackend];
      peer.end();
      const ended = new Promise((resolve) => socket.once("end", resolve));
      const take = (bytes: Uint8Array) => chunks.push(bytes.slice()) < 0;
      if (ends === null) socket.on("data", take).resume();
      else ends[side].source.handOver({ take, ending: () => {}, flooded: () => {} });
      ends?.[side].source.resume();
      await ended;
      return bytesOf(...chunks);
    },
    async [Symbol.asyncDispose]() {
      await conversation.release();
      await client[Symbol.asyncDispose]();
      await backend[Symbol.asyncDispose]();
    },
  };
}

async function sendInPieces(
  { peer }: SocketPair,
  bytes: Uint8Array,
  sizes: readonly number[],
): Promise<void> {
  for (let sent = 0, turn = 0; sent < bytes.length; turn++) {
    const size = sizes[turn % sizes.length]!;
    await peer.send(bytes.subarray(sent, sent + size));
    sent += size;
  }
}
