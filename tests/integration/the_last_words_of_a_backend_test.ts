/** A backend that ends a session in the middle of what the client sends is heard all the same. */
import assert from "node:assert/strict";
import { encodeErrorResponse } from "../../src/wire/error_response.ts";
import { eventually, onlyClosingLine } from "../support/closing_lines.ts";
import { admit, startFakeBackend, WELCOME } from "../support/fake_backend.ts";
import { startupMessage } from "../support/raw_client.ts";
import { ALL_LEGS, connectOver, speak, startProxyTo } from "../support/two_legs.ts";

const WORDS = encodeErrorResponse({
  severity: "FATAL",
  sqlstate: "57P01",
  message: "terminating connection",
});

for (const legs of ALL_LEGS) {
  Deno.test(`the backend's FATAL reaches a client that is sending: ${legs.name}`, async () => {
    await using backend = await startFakeBackend(async (tcp) => {
      const peer = await speak(tcp, legs.backend);
      await admit(peer);
      // It is in the middle of what comes: everything up to it is full.
      await peer.read(100_000);
      await new Promise((r) => setTimeout(r, 100));
      await peer.send(WORDS);
      // Unread bytes in its socket: the system answers them with a reset, as it does for PostgreSQL.
      peer.socket.destroy();
      tcp.socket.destroy();
    });
    await using proxy = await startProxyTo(backend.port, legs.backend);
    await using client = await connectOver(legs.client, proxy);
    await client.send(startupMessage());
    await client.read(WELCOME.length);
    const sending = (async () => {
      for (let i = 0; i < 600 && !client.isClosed; i++) await client.send(new Uint8Array(50_000));
    })();
    const answer = await eventually(client.readAll(), "the end");
    assert.deepEqual(answer, WORDS);
    await onlyClosingLine(proxy);
    client.socket.destroy();
    await sending;
  });
}
