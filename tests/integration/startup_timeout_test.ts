/** A client has startup_timeout to say what it wants, whatever it does instead; a session has all the time in the world. */
import assert from "node:assert/strict";
import { bytesOf, SSL_REQUEST } from "../wire/bytes.ts";
import { onlyClosingLine } from "../support/closing_lines.ts";
import { admit, startFakeBackend, WELCOME } from "../support/fake_backend.ts";
import { type PeerStream, textOf } from "../support/peer_stream.ts";
import { connectRaw, connectRawTls, query, startupMessage } from "../support/raw_client.ts";
import { connectOver, startProxyTo } from "../support/two_legs.ts";

/** Long enough for what a client does before it stalls, also where a busy machine takes its time with a handshake. */
const STARTUP_TIMEOUT = "2s";
/** The beginning of a handshake record that announces 512 bytes. */
const HALF_A_CLIENT_HELLO = bytesOf(0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, new Uint8Array(32));

/** What a client may do instead of asking for a session. */
const STALLS: Readonly<Record<string, (port: number) => Promise<PeerStream>>> = {
  "says nothing": connectRaw,
  "sends half an SSLRequest": async (port) =>
    await sending(await connectRaw(port), SSL_REQUEST.subarray(0, 4)),
  "sends SSLRequest and then nothing": (port) => granted(port),
  "sends half a ClientHello": async (port) => await sending(await granted(port), HALF_A_CLIENT_HELLO),
  "begins direct TLS with half a ClientHello": async (port) =>
    await sending(await connectRaw(port), HALF_A_CLIENT_HELLO),
  "completes TLS and then says nothing": (port) => connectRawTls(port),
  "sends half a StartupMessage inside TLS": async (port) =>
    await sending(await connectRawTls(port), startupMessage().subarray(0, 20)),
  "sends half a StartupMessage in clear": async (port) =>
    await sending(await connectRaw(port), startupMessage().subarray(0, 20)),
  "sends a StartupMessage inside TLS byte by byte, for ever": async (port) => {
    const client = await connectRawTls(port);
    dribble(client, startupMessage(10_004));
    return client;
  },
  "sends a StartupMessage in clear byte by byte, for ever": async (port) => {
    const client = await connectRaw(port);
    dribble(client, startupMessage(10_004));
    return client;
  },
};

// All at once: each of them waits.
Deno.test("a client that does anything but ask for a session is closed by startup_timeout", async (t) => {
  await Promise.all(
    Object.entries(STALLS).map(([name, connect]) =>
      t.step({ name: `one that ${name}`, fn: () => checkStall(connect), ...SIDE_BY_SIDE })
    ),
  );
});

Deno.test("a session outlives startup_timeout and connect_timeout by far", async (t) => {
  await Promise.all(
    (["TLS", "clear"] as const).map((leg) =>
      t.step({ name: `in ${leg}`, fn: () => checkSession(leg), ...SIDE_BY_SIDE })
    ),
  );
});

async function checkStall(connect: (port: number) => Promise<PeerStream>): Promise<void> {
  await using backend = await startFakeBackend(() => Promise.resolve());
  await using proxy = await startProxyTo(backend.port, "clear", {
    listener: { startup_timeout: STARTUP_TIMEOUT },
  });
  await using client = await connect(proxy.ports[0]!);
  assert.equal((await client.readAll()).length, 0);
  const line = await onlyClosingLine(proxy);
  assert.equal(line.reason, "startup_timeout");
  assert.equal(line.detail, "No StartupMessage within 2000 ms (startup_timeout)");
  assert.equal(backend.accepted, 0);
}

async function checkSession(leg: "TLS" | "clear"): Promise<void> {
  await using backend = await startFakeBackend(async (peer) => {
    await admit(peer);
    await peer.read(query("SELECT pg_sleep(1)").length);
    // Twice as long as either may take: a query that must not be cut.
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    await peer.send(bytesOf("answer"));
  });
  await using proxy = await startProxyTo(backend.port, "clear", {
    listener: { startup_timeout: STARTUP_TIMEOUT },
    backend: { connect_timeout: "2s" },
  });
  await using client = await connectOver(leg, proxy);
  await client.send(startupMessage());
  await client.read(WELCOME.length);
  await client.send(query("SELECT pg_sleep(1)"));
  assert.equal(textOf(await client.read(6)), "answer");
}

async function granted(port: number): Promise<PeerStream> {
  const client = await connectRaw(port);
  await client.send(SSL_REQUEST);
  assert.equal(textOf(await client.read(1)), "S");
  return client;
}

async function sending(client: PeerStream, bytes: Uint8Array): Promise<PeerStream> {
  await client.send(bytes);
  return client;
}

/** What steps that run at the same time must do without. */
const SIDE_BY_SIDE = { sanitizeOps: false, sanitizeResources: false, sanitizeExit: false };

/** Sends one byte every 20 ms until the connection is gone. */
function dribble(client: PeerStream, bytes: Uint8Array): void {
  let sent = 0;
  const timer = setInterval(() => {
    if (client.isClosed || sent === bytes.length) return clearInterval(timer);
    client.send(bytes.subarray(sent, ++sent));
  }, 20);
  client.socket.once("end", () => clearInterval(timer));
}
