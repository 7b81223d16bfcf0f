/** A worker that ends takes its connections along, and nothing else. One that hangs cannot be helped. */
import assert from "node:assert/strict";
import { until } from "../support/closing_lines.ts";
import { serve, startFakeBackend, WELCOME } from "../support/fake_backend.ts";
import type { PeerStream } from "../support/peer_stream.ts";
import { type ProxyProcess, startImpatientProxy, startMortalProxy } from "../support/proxy_process.ts";
import { connectRawTls, readError, startupMessage } from "../support/raw_client.ts";
import { routeTo } from "../support/two_legs.ts";

const MANY = 20;

Deno.test("a worker that ends is replaced, reported, and its places are given back", async () => {
  await using backend = await startFakeBackend(serve);
  const listener = { max_connections: MANY };
  await using proxy = await startMortalProxy(routeTo(backend.port, "clear", { listener }));
  const port = proxy.port("route0");
  await using stack = new AsyncDisposableStack();
  const sessions: PeerStream[] = [];
  for (let i = 0; i < MANY; i++) sessions.push(stack.use(await openSession(port)));
  await proxy.waitFor("backend.connected", MANY);
  await checkFull(port);
  await proxy.waitFor("connection.closed");

  await proxy.process.write("0 exit");
  const [failed] = await proxy.waitFor("worker.failed");
  assert.deepEqual([failed!["worker"], failed!["detail"]], [0, "It has ended itself"]);
  const lost = Number(failed!["connections"]);
  assert.ok(lost > 0 && lost < MANY, `${lost} of ${MANY}: the other worker has some, too`);
  // The others have nothing to read, and will not have.
  let noticed = 0;
  for (const session of sessions) session.readAll().then(() => noticed++, () => {});
  await until(() => noticed === lost, "its clients to notice");
  const lines = (await proxy.waitFor("connection.closed", lost + 1)).slice(1);
  assert.equal(lines.length, lost);
  for (const { reason, user, backend } of lines) {
    assert.deepEqual([reason, user, typeof backend], ["worker_failed", "alice", "string"]);
  }

  await proxy.waitFor("worker.started");
  for (let i = 0; i < lost; i++) stack.use(await openSession(port));
  await checkFull(port);
  assert.equal((await proxy.stop()).code, 0);
  assert.equal(proxy.lines("connection.closed").length, MANY + 1 + lost + 1);
});

Deno.test("of every connection of a worker that ends there is a closing line, or it is counted among those left out", async () => {
  await using backend = await startFakeBackend(serve);
  // The moment of all moments: nothing of the connection has been told yet, or not all.
  const app = `export default async (scope: any, receive: any, send: any) => {
    await receive();
    if (scope.type === "lifespan") return await send({ type: "lifespan.startup.complete" });
    Deno.exit(1);
  };`;
  await using proxy = await startMortalProxy({ app, ...routeTo(backend.port, "clear") });
  for (let made = 1; made <= 3; made++) {
    await using client = await connectRawTls(proxy.port("route0"));
    await client.send(startupMessage());
    await client.readAll().catch(() => {});
    await until(() => told(proxy) === made, `all ${made} connections to be accounted for`);
    await proxy.waitFor("worker.started", made);
  }
});

Deno.test("the worker that takes the place serves what a reload has brought in the meantime", async () => {
  await using old = await startFakeBackend(serve);
  await using next = await startFakeBackend(serve);
  await using proxy = await startMortalProxy(routeTo(old.port, "clear"));
  await proxy.configure(routeTo(next.port, "clear"));
  await proxy.reload();
  await proxy.process.write("1 exit");
  await proxy.waitFor("worker.failed");
  await proxy.waitFor("worker.started");
  for (let i = 0; i < MANY; i++) (await openSession(proxy.port("route0"))).reset();
  assert.deepEqual([old.accepted, next.accepted], [0, MANY]);
});

Deno.test("a worker that hangs cannot be replaced: it is reported, the others drain, and pgtls ends with 1", async () => {
  await using backend = await startFakeBackend(serve);
  await using proxy = await startImpatientProxy(routeTo(backend.port, "clear"));
  await using stack = new AsyncDisposableStack();
  const sessions: PeerStream[] = [];
  for (let i = 0; i < MANY; i++) sessions.push(stack.use(await openSession(proxy.port("route0"))));
  await proxy.waitFor("backend.connected", MANY);
  await proxy.process.write("0 loop");
  const [failed] = await proxy.waitFor("worker.failed");
  assert.match(String(failed!["detail"]), /It has not answered for 3000 ms/);
  const [{ error }] = await proxy.waitFor("server.failed") as [{ error: string; event: string }];
  assert.match(error, /Cannot end a worker that hangs, nor take its port from it, expected a restart/);
  assert.equal((await proxy.process.exited).code, 1);
  const reasons = proxy.lines("connection.closed").map(({ reason }) => reason);
  assert.equal(reasons.length, MANY);
  assert.deepEqual(new Set(reasons), new Set(["worker_failed", "server_draining"]));
});

Deno.test("an error that nobody catches in a worker is reported, and costs no connection", async () => {
  await using backend = await startFakeBackend(serve);
  await using proxy = await startMortalProxy(routeTo(backend.port, "clear"));
  await using session = await openSession(proxy.port("route0"));
  for (const worker of [0, 1]) {
    await proxy.process.write(`${worker} throw`);
    const lines = await proxy.waitFor("server.failed", worker + 1);
    assert.match(String(lines.at(-1)!["error"]), /thrown on demand/);
  }
  assert.equal(session.isClosed, false);
  assert.deepEqual(proxy.lines("worker.failed"), []);
});

/** Connections that have a closing line, and those left out. */
function told(proxy: ProxyProcess): number {
  const counts = proxy.lines("events.dropped").map(({ count }) => Number(count));
  return counts.reduce((sum, count) => sum + count, proxy.lines("connection.closed").length);
}

async function openSession(port: number): Promise<PeerStream> {
  const client = await connectRawTls(port);
  await client.send(startupMessage());
  assert.deepEqual(await client.read(WELCOME.length), WELCOME);
  return client;
}

async function checkFull(port: number): Promise<void> {
  await using client = await connectRawTls(port);
  await client.send(startupMessage());
  assert.equal((await readError(client)).sqlstate, "53300");
}
