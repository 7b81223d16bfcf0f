import assert from "node:assert/strict";
import { relay } from "../../src/connection/relay.ts";
import type { Session } from "../../src/connection/session.ts";
import { type Resting, restLater, restNever } from "../../src/connection/rest.ts";
import { until } from "../support/closing_lines.ts";
import { PeerStream } from "../support/peer_stream.ts";
import { leaf } from "../support/two_legs.ts";
import { bytesOf } from "../wire/bytes.ts";
import { aLook } from "./look.ts";
import { connectPair } from "./socket_pair.ts";

Deno.test("restLater() asks again until the session has come to rest", async () => {
  const answers = [false, false, true];
  let asked = 0;
  restLater({ rest: () => answers[asked++]! });
  await until(() => asked === answers.length, "the session to rest");
  await aLook();
  assert.equal(asked, answers.length);
});

Deno.test("restNever() ends the asking", async () => {
  let asked = 0;
  const session: Resting = { rest: () => asked++ < 0 };
  restLater(session);
  await until(() => asked > 0, "the session to be asked");
  restNever(session);
  const before = asked;
  await aLook();
  assert.equal(asked, before);
});

for (const lost of ["client", "backend"] as const) {
  Deno.test(`nobody asks a session to rest that ended before it began: ${lost} lost`, async () => {
    await using client = await connectPair();
    await using backend = await connectPair();
    const { socket } = lost === "client" ? client : backend;
    socket.destroy();
    await until(() => socket.closed, `the ${lost} to be gone`);
    const session = relay(client.socket, backend.socket, { idleTimeoutMs: 0 });
    let asked = 0;
    Object.assign(session, { rest: () => ++asked > 0 });
    assert.equal((await session.ended).reason, `${lost}_lost`);
    await aLook();
    assert.equal(asked, 0);
  });
}

Deno.test("Session.activity grows with bytes that are no whole TLS record yet, in a session that rests, too", async () => {
  await using pair = await connectPair();
  await using backend = await connectPair();
  const [secured] = await Promise.all([new PeerStream(pair.socket).acceptTls(leaf), pair.peer.startTls()]);
  const session = relay(secured.socket, backend.socket, { idleTimeoutMs: 0 });
  for (const part of [bytesOf(0x17, 3), bytesOf(3, 0x40, 0)]) {
    const { activity } = session;
    await pair.peer.send(part);
    await until(() => session.activity > activity, "the bytes");
    assert.equal(session.bytesRead.client, 0);
    await until(() => (session as Session & Resting).rest(), "the session to rest");
  }
  session.destroy();
});
