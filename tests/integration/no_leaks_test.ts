/** Whatever clients and backends do, nothing stays open behind them: no file descriptor, no session, no listener. */
import assert from "node:assert/strict";
import { bytesOf, CANCEL_REQUEST, SSL_REQUEST } from "../wire/bytes.ts";
import { closingLines, until } from "../support/closing_lines.ts";
import { readPacket, startFakeBackend, WELCOME } from "../support/fake_backend.ts";
import { type PeerStream, textOf } from "../support/peer_stream.ts";
import { startTestProxy } from "../support/proxy.ts";
import { connectRaw, connectRawTls, query, startupMessage, TERMINATE } from "../support/raw_client.ts";
import { type Leg, routeTo, speak } from "../support/two_legs.ts";

const ROUNDS = 10;

/** What a client does with a fresh connection; 20 of them are one round. */
const LIVES: readonly ((port: number) => Promise<PeerStream>)[] = [
  connectRaw,
  async (port) => resetting(await connectRaw(port)),
  async (port) => await sending(await connectRaw(port), bytesOf("GET / HTTP/1.1\r\n\r\n")),
  async (port) => await sending(await connectRaw(port), bytesOf(0x16, 3, 1, 0, 5, "no TLS")),
  async (port) => await sending(await connectRaw(port), bytesOf(SSL_REQUEST, SSL_REQUEST)),
  async (port) => await sending(await connectRaw(port), CANCEL_REQUEST),
  async (port) => await sending(await connectRaw(port), startupMessage().subarray(0, 9)),
  async (port) => resetting(await sending(await connectRaw(port), startupMessage())),
  async (port) =>
    await sending(await connectRaw(port), bytesOf(startupMessage(), query("SELECT 1"), TERMINATE)),
  async (port) => await sending(await session(await connectRaw(port)), TERMINATE),
  async (port) => resetting(await session(await connectRaw(port))),
  async (port) => {
    const client = await sending(await connectRaw(port), SSL_REQUEST);
    assert.equal(textOf(await client.read(1)), "S");
    return resetting(client);
  },
  (port) => connectRawTls(port),
  async (port) => resetting(await connectRawTls(port)),
  async (port) => await sending(await connectRawTls(port), bytesOf("garbage inside TLS")),
  async (port) => await sending(await connectRawTls(port), CANCEL_REQUEST),
  async (port) => resetting(await sending(await connectRawTls(port), startupMessage())),
  async (port) => await sending(await session(await connectRawTls(port)), TERMINATE),
  async (port) => resetting(await session(await connectRawTls(port))),
  async (port) =>
    await sending(await session(await connectRawTls(port)), query("half a quer").subarray(0, 8)),
];

for (const leg of ["TLS", "clear"] as const) {
  Deno.test(`${ROUNDS * LIVES.length} connections of every kind leave nothing open, backend in ${leg}`, async () => {
    const before = openFiles();
    await liveThrough(leg);
    await until(() => openFiles() <= before, `open files to be back at ${before}: ${openFiles()}`);
  });
}

/** A proxy and a backend for `ROUNDS` rounds of every kind of client; both are gone afterwards. */
async function liveThrough(leg: Leg): Promise<void> {
  await using backend = await startFakeBackend(async (tcp) => {
    const peer = await speak(tcp, leg);
    if ((await readPacket(peer)).length === CANCEL_REQUEST.length) return peer.end();
    await peer.send(WELCOME);
    await peer.closed();
  });
  await using proxy = await startTestProxy(routeTo(backend.port, leg));
  const port = proxy.ports[0]!;
  await round(port);
  await closingLines(proxy);
  const afterOne = openFiles();
  for (let i = 1; i < ROUNDS; i++) await round(port);
  const lines = await closingLines(proxy);
  assert.equal(lines.length, ROUNDS * LIVES.length);
  assert.deepEqual(lines.filter(({ reason }) => reason === "internal_error"), []);
  await until(() => openFiles() <= afterOne, `open files to be back at ${afterOne}: ${openFiles()}`);
}

async function round(port: number): Promise<void> {
  await Promise.all(LIVES.map(async (live) => {
    await using client = await live(port);
    client.end();
    await client.closed();
  }));
}

async function session(client: PeerStream): Promise<PeerStream> {
  await client.send(startupMessage());
  assert.deepEqual(await client.read(WELCOME.length), WELCOME);
  return client;
}

async function sending(client: PeerStream, bytes: Uint8Array): Promise<PeerStream> {
  await client.send(bytes);
  return client;
}

function resetting(client: PeerStream): PeerStream {
  client.reset();
  return client;
}

/** How many file descriptors this process holds. Linux only, as are the tests' servers. */
function openFiles(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}
