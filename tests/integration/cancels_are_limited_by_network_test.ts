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
  for (let i = 0; i < 40; i++) await Promise.all([1, 2, 3, 4].map(() => cancel(connectRaw(port))));
  const lines = await proxy.closed(160);
  const forwarded = lines.filter(({ reason }) => reason === "cancel_forwarded").length;
  const refused = lines.filter(({ reason }) => reason === "limit_reached");
  assert.equal(forwarded + refused.length, 160);
  assert.ok(forwarded >= 100, `${forwarded} forwarded: the burst is everybody's`);
  assert.ok(refused.length > 0, "nobody may send without end");
  assert.match(refused[0]!.detail!, /CancelRequests from this network/);
  assert.equal(backend.accepted, forwarded);
  for (let i = 0; i < 40; i++) await cancel(connectRawTls(port));
  const encrypted = (await proxy.closed(200)).slice(160);
  assert.ok(encrypted.some(({ reason }) => reason === "limit_reached"));
  await cancel(connectFrom("127.0.0.2", port));
  assert.equal((await proxy.closed(201))[200]?.reason, "cancel_forwarded", "another network");
});

async function cancel(connecting: Promise<PeerStream>): Promise<void> {
  await using client = await connecting;
  await client.send(CANCEL_REQUEST);
  await client.closed();
}

function connectFrom(localAddress: string, port: number): Promise<PeerStream> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, localAddress, allowHalfOpen: true });
    socket.once("error", reject);
    socket.once("connect", () => resolve(new PeerStream(socket)));
  });
}
