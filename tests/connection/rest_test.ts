import assert from "node:assert/strict";
import { relay } from "../../src/connection/relay.ts";
import { type Resting, restLater, restNever } from "../../src/connection/rest.ts";
import { until } from "../support/closing_lines.ts";
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

/** Waits until whoever waits has been asked, as often as it takes for one that came later. */
async function aLook(): Promise<void> {
  let looked = false;
  restLater({ rest: () => looked = true });
  await until(() => looked, "a look for sessions that may rest");
}
