/** A session that has lasted for a moment keeps the runtime's handles alone, and works and ends as before. */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { closingLines } from "../support/closing_lines.ts";
import { readPacket, startFakeBackend, WELCOME } from "../support/fake_backend.ts";
import type { PeerStream } from "../support/peer_stream.ts";
import { startupMessage } from "../support/raw_client.ts";
import { ALL_LEGS, connectOver, speak, startProxyTo } from "../support/two_legs.ts";
import { bytesOf } from "../wire/bytes.ts";

Deno.test("pgtls holds none of the sockets of sessions that rest, and they go on", async () => {
  const program = new URL("../support/resting_sessions.ts", import.meta.url).href;
  const args = ["run", "-A", "--quiet", "--no-check", "--v8-flags=--expose-gc", program];
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  const printed = new TextDecoder().decode(stdout);
  const expected = "20 sockets seen, 0 held, 6 sessions went on, 6 half-closed\n";
  assert.equal(printed, expected, new TextDecoder().decode(stderr));
});

for (const legs of ALL_LEGS.filter(({ client, backend }) => client === "TLS" || backend === "TLS")) {
  for (const side of ["client", "backend"] as const) {
    if (legs[side] !== "TLS") continue;
    Deno.test(`a forged record ends a session that rests: from the ${side}, ${legs.name}`, async () => {
      const served = Promise.withResolvers<PeerStream>();
      await using backend = await startFakeBackend(async (tcp) => {
        const peer = await speak(tcp, legs.backend);
        await readPacket(peer);
        await peer.send(WELCOME);
        served.resolve(peer);
        await peer.closed();
      });
      await using proxy = await startProxyTo(backend.port, legs.backend);
      await using client = await connectOver(legs.client, proxy);
      await client.send(startupMessage());
      await client.read(WELCOME.length);
      await untilItRests();
      forge(side === "client" ? client : await served.promise);
      await client.closed();
      const [line] = await closingLines(proxy);
      assert.equal(line!.reason, side === "client" ? "client_lost" : "backend_lost");
    });
  }
}

/** Two looks of rest.ts, and time for a busy machine; nothing depends on it but that the claim is tested. */
function untilItRests(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 300));
}

/** An application data record that nobody can have sealed, on the TCP connection below the TLS one. */
function forge({ socket }: PeerStream): void {
  (socket as Socket & { _parent: Socket })._parent.write(bytesOf(0x17, 3, 3, 0, 32, "x".repeat(32)));
}
