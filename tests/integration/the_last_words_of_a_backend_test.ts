/** A backend that ends a session in the middle of what the client sends is heard all the same. */
import assert from "node:assert/strict";
import { encodeErrorResponse } from "../../src/wire/error_response.ts";
import { eventually, onlyClosingLine } from "../support/closing_lines.ts";
import { admit, startFakeBackend, WELCOME } from "../support/fake_backend.ts";
import { startupMessage } from "../support/raw_client.ts";
import { ALL_LEGS, ca, type Leg, speak, startProxyTo } from "../support/two_legs.ts";
import { bytesOf, SSL_REQUEST } from "../wire/bytes.ts";

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
    using client = await connectOver(legs.client, proxy.ports[0]!);
    await client.write(startupMessage());
    for (let read = 0; read < WELCOME.length;) {
      read += (await client.read(new Uint8Array(WELCOME.length - read)))!;
    }
    const sending = sendUntilItFails(client);
    assert.deepEqual(await eventually(readAll(client), "the end"), WORDS);
    await onlyClosingLine(proxy);
    await eventually(sending, "the client to stop sending");
  });
}

/** A client that reads what has come also when it can send no more, as libpq does: a socket of node:net is gone then. */
async function connectOver(leg: Leg, port: number): Promise<Deno.Conn> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  if (leg === "clear") return conn;
  await conn.write(SSL_REQUEST);
  assert.equal(await conn.read(new Uint8Array(1)), 1);
  return await Deno.startTls(conn, { hostname: "localhost", caCerts: [ca.certPem] });
}

async function sendUntilItFails(client: Deno.Conn): Promise<void> {
  const chunk = new Uint8Array(50_000);
  try {
    while (true) await client.write(chunk);
  } catch {
    // Whoever reads it has gone.
  }
}

/** Up to the end of the stream, or to a connection that breaks off. */
async function readAll(client: Deno.Conn): Promise<Uint8Array> {
  let all = bytesOf();
  const buffer = new Uint8Array(4_096);
  try {
    for (let count; (count = await client.read(buffer)) !== null;) all = bytesOf(all, buffer.slice(0, count));
  } catch {
    // It broke off.
  }
  return all;
}
