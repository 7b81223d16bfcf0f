import assert from "node:assert/strict";
import fc from "fast-check";
import { Conversation, type ConversationOptions } from "../../src/connection/conversation.ts";
import { StageError } from "../../src/errors.ts";
import { encodeMessage } from "../../src/wire/message.ts";
import { until } from "../support/closing_lines.ts";
import { bytesOf } from "../wire/bytes.ts";
import { connectPair, type SocketPair } from "./socket_pair.ts";

const FIRST = encodeMessage("p", bytesOf("first"));
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
  const flood = client.peer.send(bytesOf(FIRST, new Uint8Array(32 << 20)));
  assert.deepEqual((await conversation.client.read(100))?.body, bytesOf("first"));
  // Waits for as long as it takes the other side to answer; what can be read meanwhile has a bound.
  const answer = conversation.backend.read(100);
  await talk.backend.peer.send(SECOND);
  await answer;
  assert.ok(conversation.client.takeUnread().length < 128 << 10);
  client.socket.destroy();
  await flood;
});

interface Talk extends AsyncDisposable {
  readonly client: SocketPair;
  readonly backend: SocketPair;
  readonly conversation: Conversation;
  /** Ends the peer's direction; returns all that side has said and nobody has read, from wherever it stands. */
  finish(side: "client" | "backend"): Promise<Uint8Array>;
}

async function startConversation(options: Partial<ConversationOptions> = {}): Promise<Talk> {
  const [client, backend] = [await connectPair(), await connectPair()];
  const { signal = new AbortController().signal, endsOutOfTurn = false } = options;
  const conversation = new Conversation(client.socket, backend.socket, { signal, endsOutOfTurn });
  return {
    client,
    backend,
    conversation,
    async finish(side) {
      const unread = conversation.takeUnread()[side === "client" ? "fromClient" : "fromBackend"];
      conversation.release();
      const { socket, peer } = side === "client" ? client : backend;
      peer.end();
      const chunks: Uint8Array[] = [unread];
      for await (const chunk of socket) chunks.push(chunk);
      return bytesOf(...chunks);
    },
    async [Symbol.asyncDispose]() {
      conversation.release();
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
