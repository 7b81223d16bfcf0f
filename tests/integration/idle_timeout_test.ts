/** idle_timeout ends sessions on which no byte moves, with a reason, and leaves the others alone. */
import assert from "node:assert/strict";
import { onlyClosingLine } from "../support/closing_lines.ts";
import { admit, READY, startFakeBackend, WELCOME } from "../support/fake_backend.ts";
import { query, readError, startupMessage } from "../support/raw_client.ts";
import { ALL_LEGS, connectOver, speak, startProxyTo } from "../support/two_legs.ts";

const PING = query("SELECT 1");
/** Longer than a busy machine keeps a login waiting, which is a session already. */
const IDLE_TIMEOUT = "500ms";

for (const legs of ALL_LEGS) {
  Deno.test(`an idle session is ended with 57P05: ${legs.name}`, async () => {
    await using backend = await startFakeBackend(async (tcp) => await admit(await speak(tcp, legs.backend)));
    await using proxy = await startProxyTo(backend.port, legs.backend, {
      listener: { idle_timeout: IDLE_TIMEOUT },
    });
    await using client = await connectOver(legs.client, proxy);
    await client.send(startupMessage());
    await client.read(WELCOME.length);
    const { sqlstate, message } = await readError(client);
    assert.deepEqual([sqlstate, message], ["57P05", "terminating connection due to idle timeout"]);
    assert.equal((await onlyClosingLine(proxy)).reason, "idle_timeout");
  });
}

Deno.test("a session on which bytes move lives on beyond idle_timeout", async () => {
  // All at once: they take their time.
  await Promise.all(ALL_LEGS.map(async (legs) => {
    await using backend = await startFakeBackend(async (tcp) => {
      const peer = await speak(tcp, legs.backend);
      await admit(peer);
      while (await peer.readSome() !== null) await peer.send(READY);
      peer.end();
    });
    await using proxy = await startProxyTo(backend.port, legs.backend, { listener: { idle_timeout: "2s" } });
    await using client = await connectOver(legs.client, proxy);
    await client.send(startupMessage());
    await client.read(WELCOME.length);
    // For twice the idle_timeout, with a twentieth of it between the bytes.
    for (let i = 0; i < 40; i++) {
      await client.send(PING);
      assert.deepEqual(await client.read(READY.length), READY, legs.name);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    client.end();
    assert.equal((await onlyClosingLine(proxy)).reason, "client_closed", legs.name);
  }));
});

Deno.test("a backend that works on without a word is cut by idle_timeout, inside a message without one", async () => {
  await using backend = await startFakeBackend(async (peer) => {
    await admit(peer);
    await peer.send(Uint8Array.of(0x44, 0, 0, 0, 9));
  });
  await using proxy = await startProxyTo(backend.port, "clear", { listener: { idle_timeout: IDLE_TIMEOUT } });
  await using client = await connectOver("TLS", proxy);
  await client.send(startupMessage());
  await client.read(WELCOME.length + 5);
  assert.equal((await client.readAll()).length, 0);
  assert.equal((await onlyClosingLine(proxy)).reason, "idle_timeout");
});
