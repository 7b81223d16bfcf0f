/**
 * A program for `deno run --v8-flags=--expose-gc`: sessions of every kind, which rest, and then go on.
 * Prints how many of the sockets that pgtls had for them are in memory meanwhile, how many sessions answered, and how many
 * went on when their client had ended its direction: `20 sockets seen, 0 held, 6 sessions went on, 6 half-closed`.
 */
import { Server, Socket } from "node:net";
import { readPacket, startFakeBackend, WELCOME } from "./fake_backend.ts";
import type { PeerStream } from "./peer_stream.ts";
import { type RouteTables, startTestProxy } from "./proxy.ts";
import { connectRaw, connectRawTls, startupMessage } from "./raw_client.ts";
import { ALL_LEGS, type Legs, routeTo, speak } from "./two_legs.ts";

/** An app that has accepted and waits for the end, as most do. */
const APP = `export default async function app(scope, receive, send) {
  await receive();
  await send({ type: "postgresql.accept" });
  await receive();
}`;

/** The legs of a session, and what its route has besides. */
interface Kind {
  readonly legs: Legs;
  readonly route?: Pick<RouteTables, "app" | "auth">;
}

const IN_TLS: Legs = { client: "TLS", backend: "TLS" };
const KINDS: readonly Kind[] = [
  ...ALL_LEGS.map((legs) => ({ legs })),
  { legs: IN_TLS, route: { app: APP } },
  // The backend asks for none, but it is pgtls that hears so.
  { legs: IN_TLS, route: { auth: { mode: "password" } } },
];

/** Larger than every buffer on the way. */
const LARGE = new Uint8Array(8 << 20);

const { gc } = globalThis as unknown as { gc: () => void };
const mayGoOn = Promise.withResolvers<void>();
const seen: WeakRef<object>[] = [];
const backends = await Promise.all(
  KINDS.map(({ legs }) => startFakeBackend((tcp) => serve(tcp, legs.backend))),
);
const proxy = await startTestProxy(...KINDS.map(routeOf));
watchSockets(new Set(proxy.ports), new Set(backends.map(({ port }) => port)));

const clients: PeerStream[] = [];
for (const [i, kind] of KINDS.entries()) clients.push(await logIn(proxy.ports[i]!, kind));
// They rest in their own time; only a guard where they do not.
for (let i = 0; i < 100 && countHeld() > 0; i++) {
  await sleep(100);
  await collectGarbage();
}
const held = countHeld();

let answered = 0;
for (const client of clients) {
  await client.send(Uint8Array.of(1, 2, 3));
  if ((await client.read(3)).join() === "1,2,3") answered++;
}
for (const client of clients) client.end();
await sleep(100);
await collectGarbage();
mayGoOn.resolve();
const sizes = await Promise.all(clients.map(async (client) => (await client.readAll()).length));
const halfClosed = sizes.filter((size) => size === LARGE.length).length;
console.log(
  `${seen.length} sockets seen, ${held} held, ${answered} sessions went on, ${halfClosed} half-closed`,
);
Deno.exit(0);

function routeOf({ legs, route }: Kind, index: number): RouteTables {
  const { listener, backend } = routeTo(backends[index]!.port, legs.backend);
  const isClear = legs.client === "clear";
  return { ...route, listener: { ...listener, unsafe_allow_plaintext: isClear }, backend };
}

/** Notes the sockets that pgtls accepts, dials, and encrypts; those of the test itself are of other ports. */
function watchSockets(listened: ReadonlySet<number>, dialled: ReadonlySet<number>): void {
  const { emit } = Socket.prototype;
  const watch = (socket: unknown) => {
    if (!(socket instanceof Socket)) return;
    if (listened.has(socket.localPort ?? 0) || dialled.has(socket.remotePort ?? 0)) note(socket);
  };
  Server.prototype.emit = function (this: Server, event: string, ...args: unknown[]) {
    if (event === "connection" || event === "secureConnection") watch(args[0]);
    return Reflect.apply(emit, this, [event, ...args]);
  } as typeof emit;
  Socket.prototype.emit = function (this: Socket, event: string, ...args: unknown[]) {
    if (event === "connect" || event === "secureConnect") watch(this);
    return Reflect.apply(emit, this, [event, ...args]);
  } as typeof emit;
}

/** Each comes several times: an accepted one to the listener, and to the TLS server. */
function note(socket: Socket): void {
  if (!seen.some((each) => each.deref() === socket)) seen.push(new WeakRef(socket));
}

async function serve(tcp: PeerStream, leg: Legs["backend"]): Promise<void> {
  const peer = await speak(tcp, leg);
  await readPacket(peer);
  await peer.send(WELCOME);
  await peer.send(await peer.read(3));
  await peer.readAll();
  await mayGoOn.promise;
  await peer.send(LARGE);
  peer.end();
}

async function logIn(port: number, { legs }: Kind): Promise<PeerStream> {
  const client = legs.client === "TLS" ? await connectRawTls(port) : await connectRaw(port);
  await client.send(startupMessage());
  await client.read(WELCOME.length);
  return client;
}

/** What nothing but the runtime refers to must survive it. */
async function collectGarbage(): Promise<void> {
  for (let i = 0; i < 5; i++) {
    gc();
    await sleep(10);
  }
}

function countHeld(): number {
  return seen.filter((each) => each.deref() !== undefined).length;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
