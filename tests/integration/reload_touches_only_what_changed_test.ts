/** Routes come, go and change by a reload, while the sessions of all of them live on and the others are not touched. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { readError } from "../support/raw_client.ts";
import { closingLines, until } from "../support/closing_lines.ts";
import { bytesOf } from "../wire/bytes.ts";
import { admit, DONE, READY, startFakeBackend, WELCOME } from "../support/fake_backend.ts";
import type { PeerStream } from "../support/peer_stream.ts";
import { isEvent, startAdminProxy, startTestProxy } from "../support/proxy.ts";
import { connectRaw, connectRawTls, query, startupMessage, TERMINATE } from "../support/raw_client.ts";
import { routeTo } from "../support/two_legs.ts";
import { freePort } from "../../src/demo/ports.ts";

const QUERY = query("SELECT");

Deno.test("a route is added, another removed, and sessions of both the old and the new are served", async () => {
  await using backend = await startAnsweringBackend();
  const [stays, goes, comes] = ["stays", "goes", "comes"].map((name) => named(name, backend.port));
  await using proxy = await startTestProxy(stays!, goes!);
  const ports = proxy.ports;
  await using onStays = await openSession(proxy.port("stays"));
  await using onGoes = await openSession(proxy.port("goes"));
  await proxy.configure(stays!, comes!);
  const { last: { ok }, generation } = await proxy.reload();
  assert.deepEqual([ok, generation], [true, 2]);
  const reloaded = proxy.events.find(isEvent("config.reloaded"))!;
  assert.deepEqual([reloaded.added, reloaded.changed, reloaded.removed], [["comes"], [], ["goes"]]);
  assert.equal(proxy.port("stays"), ports[0], "its listener stays bound");
  await assert.rejects(connectRaw(ports[1]!), /ECONNREFUSED/);
  assert.deepEqual(proxy.events.filter(isEvent("listener.closed")).map(({ route }) => route), ["goes"]);
  await using onComes = await openSession(proxy.port("comes"));
  for (const session of [onStays, onGoes, onComes]) await ask(session);
  for (const session of [onStays, onGoes, onComes]) await session.send(TERMINATE).then(() => session.end());
  const lines = await closingLines(proxy);
  assert.deepEqual(lines.map(({ route }) => route).toSorted(), ["comes", "goes", "stays"]);
  assert.deepEqual(new Set(lines.map(({ reason }) => reason)), new Set(["client_closed"]));
});

Deno.test("a route that changes leads new connections to the new backend, and old sessions stay", async () => {
  await using old = await startAnsweringBackend();
  await using next = await startAnsweringBackend();
  await using proxy = await startTestProxy(named("r", old.port));
  const port = proxy.port("r");
  await using session = await openSession(port);
  await proxy.configure(named("r", next.port));
  await proxy.reload();
  assert.equal(proxy.port("r"), port);
  await using another = await openSession(port);
  await ask(session);
  await ask(another);
  assert.deepEqual([old.accepted, next.accepted], [1, 1]);
});

Deno.test("a changed address is bound before the old one is closed; one in its way is closed first", async () => {
  await using backend = await startAnsweringBackend();
  const [first, second] = [freePort(), freePort()];
  const at = (address: string) => named("r", backend.port, { bind_address: address });
  await using proxy = await startTestProxy(at(`127.0.0.1:${first}`));
  await using session = await openSession(first);
  await proxy.configure(at(`127.0.0.1:${second}`));
  assert.equal((await proxy.reload()).last.ok, true);
  const names = proxy.events.map(({ event }) => event).filter((name) => name.startsWith("listener."));
  assert.deepEqual(names, ["listener.bound", "listener.bound", "listener.closed"]);
  await assert.rejects(connectRaw(first), /ECONNREFUSED/);
  // The wildcard address covers the one that is bound.
  await proxy.configure(at(`0.0.0.0:${second}`));
  assert.equal((await proxy.reload()).last.ok, true);
  await using another = await openSession(second);
  await ask(session);
  await ask(another);
});

Deno.test("an address that is taken keeps the route where it was, says so, and is tried again", async () => {
  await using backend = await startAnsweringBackend();
  await using proxy = await startTestProxy(named("r", backend.port), named("other", backend.port));
  const port = proxy.port("r");
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const wanted = taken.addr.port;
  await proxy.configure(
    named("r", backend.port, { bind_address: `127.0.0.1:${wanted}` }),
    named("other", backend.port, { max_connections: 1 }),
  );
  const { last: { ok, problems } } = await proxy.reload();
  taken.close();
  assert.equal(ok, false);
  assert.match(problems[0]!.message, /Cannot listen on .*address already in use/);
  const failed = proxy.events.find(isEvent("tls.reload_failed"))!;
  assert.deepEqual([failed.route, failed.file], ["r", null]);
  assert.equal(proxy.port("r"), port);
  await using _session = await openSession(port);
  await using _only = await openSession(proxy.port("other"));
  await using refused = await connectRawTls(proxy.port("other"));
  await refused.send(startupMessage());
  assert.equal((await readError(refused)).sqlstate, "53300", "the other route has its new limit");
  assert.equal((await proxy.reload()).last.ok, true);
  assert.equal(proxy.port("r"), wanted);
});

Deno.test("when the address in the way has been given up in vain, it is taken back", async () => {
  await using backend = await startAnsweringBackend();
  const port = freePort();
  const at = (address: string) => named("r", backend.port, { bind_address: address });
  await using proxy = await startTestProxy(at(`127.0.0.1:${port}`));
  // Another program on another loopback address: the wildcard cannot be bound, before or after.
  using _other = Deno.listen({ hostname: "127.0.0.2", port });
  await proxy.configure(at(`0.0.0.0:${port}`));
  assert.equal((await proxy.reload()).last.ok, false);
  await using session = await openSession(port);
  await ask(session);
});

Deno.test("server names of one address change hands, and only the connections after that go by the new", async () => {
  await using one = await startAnsweringBackend();
  await using two = await startAnsweringBackend();
  const bind_address = `127.0.0.1:${freePort()}`;
  const routes = (first: string, second: string) => [
    sharing("first", one.port, { bind_address, server_names: [first] }),
    sharing("second", two.port, { bind_address, server_names: [second] }),
  ];
  await using proxy = await startTestProxy(...routes("localhost", "db.example.com"));
  await using before = await openSession(proxy.port("first"));
  await proxy.configure(...routes("db.example.com", "localhost"));
  assert.equal((await proxy.reload()).last.ok, true);
  await using after = await openSession(proxy.port("second"));
  await ask(before);
  await ask(after);
  assert.deepEqual([one.accepted, two.accepted], [1, 1]);
  assert.deepEqual(proxy.events.filter(isEvent("listener.closed")), [], "the address has not been given up");
});

Deno.test("sessions count against max_connections across a reload, by the new limit", async () => {
  await using backend = await startAnsweringBackend();
  const limited = (limit: number) => named("r", backend.port, { max_connections: limit });
  await using proxy = await startTestProxy(limited(2));
  const port = proxy.port("r");
  await using first = await openSession(port);
  await using _second = await openSession(port);
  await proxy.configure(limited(1));
  await proxy.reload();
  await checkFull(port);
  first.reset();
  await until(() => proxy.connections() === 1, "the first to be gone");
  await checkFull(port);
  await proxy.configure(limited(2));
  await proxy.reload();
  await using _third = await openSession(port);
  await checkFull(port);
});

Deno.test("a configuration that does not pass changes nothing, and exits nothing", async () => {
  await using backend = await startAnsweringBackend();
  await using proxy = await startTestProxy(named("r", backend.port));
  const port = proxy.port("r");
  await proxy.configure(named("r", backend.port, { bind_address: "nonsense" }));
  assert.equal((await proxy.reload()).last.ok, false);
  const { problems } = proxy.events.find(isEvent("config.reload_failed"))!;
  assert.equal(problems[0]?.path, "proxy[0].listener.bind_address");
  await using session = await openSession(port);
  await ask(session);
});

Deno.test("another number of workers is warned of, and not shown as in use: it needs a restart", async () => {
  await using proxy = await startAdminProxy({}, named("r", 1));
  const text = await Deno.readTextFile(join(proxy.dir, "pgtls.toml"));
  await proxy.replace("pgtls.toml", text.replace("workers = 1", "workers = 2"));
  await proxy.reload();
  const { problem } = proxy.events.find(isEvent("config.warning"))!;
  assert.deepEqual([problem.path, problem.message], [
    "workers",
    "Cannot start or end workers by a reload: expected a restart",
  ]);
  const shown = await fetch(`http://127.0.0.1:${proxy.adminPort}/config`);
  assert.match(await shown.text(), /"workers": ?1\b/);
});

function named(name: string, port: number, listener: Record<string, unknown> = {}) {
  return { name, ...routeTo(port, "clear", { listener }) };
}

/** A route that a server name leads to: there is none in clear. */
function sharing(name: string, port: number, listener: Record<string, unknown>) {
  return named(name, port, { unsafe_allow_plaintext: false, ...listener });
}

/** Answers every query with an empty result, and hangs up when the client has, in whatever way. */
function startAnsweringBackend() {
  return startFakeBackend(async (peer) => {
    await admit(peer);
    while ((await peer.readSome())?.length === QUERY.length) await peer.send(bytesOf(DONE, READY));
    await peer.closed();
  });
}

async function openSession(port: number): Promise<PeerStream> {
  const client = await connectRawTls(port);
  await client.send(startupMessage());
  assert.deepEqual(await client.read(WELCOME.length), WELCOME);
  return client;
}

async function ask(session: PeerStream): Promise<void> {
  await session.send(QUERY);
  assert.deepEqual(await session.read(DONE.length + READY.length), bytesOf(DONE, READY));
}

async function checkFull(port: number): Promise<void> {
  await using client = await connectRawTls(port);
  await client.send(startupMessage());
  assert.equal((await readError(client)).sqlstate, "53300");
}
