/**
 * A program for `deno run --v8-flags=--expose-gc`: a session on every combination of legs, which rests, and then goes on.
 * Prints how many of the sockets that pgtls had for them are in memory meanwhile, and how many sessions answered:
 * `10 sockets seen, 0 held, 4 sessions went on`.
 */
import { Server, Socket } from "node:net";
import { type FakeBackend, readPacket, startFakeBackend, WELCOME } from "./fake_backend.ts";
import type { PeerStream } from "./peer_stream.ts";
import { startTestProxy } from "./proxy.ts";
import { connectRaw, connectRawTls, startupMessage } from "./raw_client.ts";
import { ALL_LEGS, routeTo, speak } from "./two_legs.ts";

const SOCKET_EVENTS: ReadonlySet<string> = new Set(["connection", "secureConnection"]);

const { gc } = globalThis as unknown as { gc: () => void };
const seen: WeakRef<object>[] = [];
const backends: FakeBackend[] = [];
for (const { backend } of ALL_LEGS) backends.push(await startFakeBackend((tcp) => serve(tcp, backend)));
const proxy = await startTestProxy(...ALL_LEGS.map(({ backend }, i) => routeTo(backends[i]!.port, backend)));
watchSockets(new Set(proxy.ports), new Set(backends.map(({ port }) => port)));

const clients: PeerStream[] = [];
for (const [i, { client }] of ALL_LEGS.entries()) clients.push(await logIn(proxy.ports[i]!, client));
await sleep(500);
for (let i = 0; i < 5; i++) {
  gc();
  await sleep(10);
}
const held = seen.filter((each) => each.deref() !== undefined).length;

let answered = 0;
for (const client of clients) {
  await client.send(Uint8Array.of(1, 2, 3));
  if ((await client.read(3)).join() === "1,2,3") answered++;
}
console.log(`${seen.length} sockets seen, ${held} held, ${answered} sessions went on`);
Deno.exit(0);

/** Notes the sockets that pgtls accepts, encrypts and dials; those of the test itself are of other ports. */
function watchSockets(listened: ReadonlySet<number>, dialled: ReadonlySet<number>): void {
  const { emit } = Server.prototype;
  Server.prototype.emit = function (this: Server, event: string, ...args: unknown[]) {
    const socket = args[0];
    const isOfPgtls = socket instanceof Socket && listened.has(socket.localPort ?? 0);
    if (isOfPgtls && SOCKET_EVENTS.has(event) && !isNoted(socket)) seen.push(new WeakRef(socket));
    return Reflect.apply(emit, this, [event, ...args]);
  } as typeof emit;
  const { connect } = Socket.prototype;
  Socket.prototype.connect = function (this: Socket, ...args: unknown[]) {
    const { port } = args.flat()[0] as { port?: number };
    if (dialled.has(port ?? 0)) seen.push(new WeakRef(this));
    return Reflect.apply(connect, this, args);
  } as typeof connect;
}

/** An accepted socket comes twice: to the listener, and to the TLS server. */
function isNoted(socket: Socket): boolean {
  return seen.some((each) => each.deref() === socket);
}

async function serve(tcp: PeerStream, leg: "TLS" | "clear"): Promise<void> {
  const peer = await speak(tcp, leg);
  await readPacket(peer);
  await peer.send(WELCOME);
  await peer.send(await peer.read(3));
  await peer.readAll();
}

async function logIn(port: number, leg: "TLS" | "clear"): Promise<PeerStream> {
  const client = leg === "TLS" ? await connectRawTls(port) : await connectRaw(port);
  await client.send(startupMessage());
  await client.read(WELCOME.length);
  return client;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
