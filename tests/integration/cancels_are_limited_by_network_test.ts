/** CancelRequests of one network: so many at once, so many a second; nobody else's are held up. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { CANCEL_REQUEST } from "../wire/bytes.ts";
import { startFakeBackend } from "../support/fake_backend.ts";
import { PeerStream } from "../support/peer_stream.ts";
import { connectRaw, connectRawTls } from "../support/raw_client.ts";
import { startProxyTo } from "../support/two_legs.ts";

Deno.test("a network that sends CancelRequests without end is held to its rate, in clear and in TLS", async () => {
  await using backend = await startFakeBackend((peer) => Promise.resolve(peer.end()));
  await using proxy = await startProxyTo(backend.port, "clear");
  const port = proxy.ports[0]!;
  await using stack = new AsyncDisposableStack();
  // Connected beforehand: what comes in slowly is allowed, and a handshake takes its time.
  const connectAll = async (count: number, connect: () => Promise<PeerStream>) =>
    await Promise.all(Array.from({ length: count }, async () => stack.use(await connect())));
  const inClear = await connectAll(200, () => connectRaw(port));
  const inTls = await connectAll(100, () => connectRawTls(port));

  const start = performance.now();
  await cancelWith(inClear);
  const lines = await proxy.closed(200);
  const allowed = 100 + (performance.now() - start) / 50;
  const forwarded = lines.filter(({ reason }) => reason === "cancel_forwarded").length;
  const refused = lines.filter(({ reason }) => reason === "limit_reached");
  assert.equal(forwarded + refused.length, 200);
  assert.ok(forwarded >= 100 && forwarded <= allowed, `${forwarded} forwarded, ${allowed} are allowed`);
  assert.ok(refused.length > 0, "nobody may send without end");
  for (const { detail } of refused) assert.match(detail!, /CancelRequests from this network/);
  assert.equal(backend.accepted, forwarded);

  await cancelWith(inTls);
  const encrypted = (await proxy.closed(300)).slice(200);
  assert.ok(encrypted.some(({ reason }) => reason === "limit_reached"));
  await cancelWith([await connectFrom("127.0.0.2", port)]);
  assert.equal((await proxy.closed(301))[300]?.reason, "cancel_forwarded", "another network");
});

/** Four at a time. */
async function cancelWith(clients: readonly PeerStream[]): Promise<void> {
  for (let i = 0; i < clients.length; i += 4) {
    await Promise.all(
      clients.slice(i, i + 4).map(async (client) => {
        await client.send(CANCEL_REQUEST);
        await client.closed();
      }),
    );
  }
}

function connectFrom(localAddress: string, port: number): Promise<PeerStream> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, localAddress, allowHalfOpen: true });
    socket.once("error", reject);
    socket.once("connect", () => resolve(new PeerStream(socket)));
  });
}
