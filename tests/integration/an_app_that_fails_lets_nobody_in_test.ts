/** Every way in which an app can fail: the client is refused with one generic 28000, and the log knows why. */
import assert from "node:assert/strict";
import { decodeErrorResponse } from "../../src/wire/error_response.ts";
import { until } from "../support/closing_lines.ts";
import { startCountingBackend } from "../support/counting_backend.ts";
import { READY, serve, startFakeBackend } from "../support/fake_backend.ts";
import { isEvent, startTestProxy, type TestProxy } from "../support/proxy.ts";
import { answerTo, connectRaw, readError, startupMessage, TERMINATE } from "../support/raw_client.ts";
import { textOf } from "../support/peer_stream.ts";

/** What is done wrong, the body of the app, and what the log says. */
const FAILURES: Readonly<Record<string, readonly [body: string, detail: RegExp]>> = {
  "throws": ["throw new Error('secret of the operator')", /^App threw Error: secret of the operator$/],
  "returns without deciding": ["await receive()", /^App returned without a decision$/],
  "never decides": ["await new Promise(() => {})", /^App has not decided within 50 ms \(app_timeout\)$/],
  "waits for an end that only its decision brings": [
    "await receive(); await receive()",
    /^App has not decided within 50 ms/,
  ],
  "accepts, and accepts again": ["await send(ACCEPT); await send(ACCEPT)", /^App decided twice$/],
  "accepts and refuses in one breath": [
    "send(ACCEPT); send({ type: 'postgresql.reject' })",
    /^App decided twice$/,
  ],
  "sends an unknown event": ["await send({ type: 'postgresql.allow' })", /Cannot take "postgresql\.allow"/],
  "sends an accept of the wrong shape": ["await send({ ...ACCEPT, user: ['root'] })", /field "user"/],
  "chooses a backend that is not there": [
    "await send({ ...ACCEPT, backend: 'nowhere' })",
    /^App chose the backend of a route that does not exist$/,
  ],
  "makes the StartupMessage too long": [
    "await send({ ...ACCEPT, parameters: { options: 'x'.repeat(10_000) } })",
    /^App asked for too much: Cannot encode StartupMessage: 100\d\d bytes, expected at most 10004$/,
  ],
};

for (const [what, [body, detail]] of Object.entries(FAILURES)) {
  Deno.test(`an app that ${what} lets nobody in`, async () => {
    await using counting = await startCountingBackend();
    await using proxy = await startTestProxy({
      app: appOf(body),
      keys: { app_timeout: what.includes("decides") || what.includes("waits") ? "50ms" : "20s" },
      listener: { tls_enabled: false },
      backend: counting.backend,
    });
    const { sqlstate, message } = decodeErrorResponse(await answerTo(proxy.ports[0]!, startupMessage()));
    assert.deepEqual([sqlstate, message], ["28000", "connection could not be authorized"]);
    const [closed] = await proxy.closed(1);
    assert.equal(closed!.reason, "app_failed");
    assert.match(closed!.detail!, detail);
    const failed = proxy.events.filter(isEvent("app.failed"));
    assert.deepEqual(failed.map(({ detail }) => detail), [closed!.detail]);
    assert.deepEqual(proxy.events.filter(isEvent("backend.failed")), []);
    await until(() => proxy.connections() === 0, "the connection to be let go");
  });
}

Deno.test("an app that changes its mind during the session ends it between two messages", async () => {
  await using backend = await startFakeBackend(serve);
  await using proxy = await startTestProxy({
    app: appOf(
      "await send(ACCEPT); await globalThis.changeOfMind; await send({ type: 'postgresql.reject' })",
    ),
    listener: { tls_enabled: false },
    backend: { address: `127.0.0.1:${backend.port}`, tls_enabled: false },
  });
  const changeOfMind = Promise.withResolvers<void>();
  (globalThis as Record<string, unknown>)["changeOfMind"] = changeOfMind.promise;
  await using client = await connectRaw(proxy.ports[0]!);
  await client.send(startupMessage());
  await readUntilReady(client);
  changeOfMind.resolve();
  assert.equal((await readError(client)).sqlstate, "28000");
  const [closed] = await proxy.closed(1);
  assert.deepEqual([closed!.reason, closed!.detail], ["app_failed", "App decided twice"]);
});

Deno.test("an app that throws after it has accepted is logged, and the session goes on", async () => {
  await using backend = await startFakeBackend(serve);
  await using proxy = await startTestProxy({
    app: appOf("await send(ACCEPT); throw new Error('late')"),
    listener: { tls_enabled: false },
    backend: { address: `127.0.0.1:${backend.port}`, tls_enabled: false },
  });
  await using client = await connectRaw(proxy.ports[0]!);
  await client.send(startupMessage());
  await readUntilReady(client);
  const { detail } = await proxy.waitFor(isEvent("app.failed"));
  assert.equal(detail, "App threw Error: late");
  await client.send(TERMINATE);
  client.end();
  const [closed] = await proxy.closed(1);
  assert.equal(closed!.reason, "client_closed");
});

Deno.test("an app that throws at the end is logged after the closing line", async () => {
  await using backend = await startFakeBackend(serve);
  await using proxy = await startTestProxy({
    app: appOf("await send(ACCEPT); await receive(); await receive(); throw new Error('at the end')"),
    listener: { tls_enabled: false },
    backend: { address: `127.0.0.1:${backend.port}`, tls_enabled: false },
  });
  await endedSession(proxy);
  const { detail, connection } = await proxy.waitFor(isEvent("app.failed"));
  const [closed] = await proxy.closed(1);
  assert.deepEqual([detail, connection], ["App threw Error: at the end", closed!.connection]);
});

Deno.test("apps that never return keep no session of theirs in memory", async () => {
  await using backend = await startFakeBackend(serve);
  await using proxy = await startTestProxy({
    app: appOf("await send(ACCEPT); await new Promise((resolve) => (globalThis.stuck ??= []).push(resolve))"),
    keys: { app_timeout: "100ms" },
    listener: { tls_enabled: false },
    backend: { address: `127.0.0.1:${backend.port}`, tls_enabled: false },
  });
  for (let i = 0; i < 3; i++) await endedSession(proxy);
  await until(() => proxy.connections() === 0, "the sessions to be let go");
  await until(() => proxy.events.filter(isEvent("app.failed")).length === 3, "the log to say so");
  assert.match(
    proxy.events.find(isEvent("app.failed"))!.detail,
    /^App has not returned 100 ms after postgresql\.disconnect$/,
  );
  assert.equal((globalThis as unknown as { stuck: unknown[] }).stuck.length, 3, "they are all still there");
});

Deno.test("a drain does not wait for an app that thinks", async () => {
  await using counting = await startCountingBackend();
  await using proxy = await startTestProxy({
    app: appOf("await new Promise(() => {})"),
    keys: { app_timeout: "1h" },
    listener: { tls_enabled: false },
    backend: counting.backend,
  });
  await using client = await connectRaw(proxy.ports[0]!);
  await client.send(startupMessage());
  await proxy.waitFor(isEvent("startup.received"));
  const drained = proxy.drain(60_000);
  assert.equal((await readError(client)).sqlstate, "57P03");
  assert.equal(await drained, 0);
  assert.deepEqual((await proxy.closed(1)).map(({ reason }) => reason), ["server_draining"]);
});

Deno.test("an app that thinks holds a place of max_connections, and gives it back when it is refused", async () => {
  await using counting = await startCountingBackend();
  await using proxy = await startTestProxy({
    app: appOf("await globalThis.thought; throw new Error('no')"),
    listener: { tls_enabled: false, max_connections: 1 },
    backend: counting.backend,
  });
  const thought = Promise.withResolvers<void>();
  (globalThis as Record<string, unknown>)["thought"] = thought.promise;
  await using first = await connectRaw(proxy.ports[0]!);
  await first.send(startupMessage());
  await proxy.waitFor(isEvent("startup.received"));
  const second = decodeErrorResponse(await answerTo(proxy.ports[0]!, startupMessage()));
  assert.equal(second.sqlstate, "53300");
  thought.resolve();
  assert.equal((await readError(first)).sqlstate, "28000");
  const third = decodeErrorResponse(await answerTo(proxy.ports[0]!, startupMessage()));
  assert.equal(third.sqlstate, "28000", "there is a place again");
});

function appOf(body: string): string {
  return `
    const ACCEPT = { type: "postgresql.accept" };
    export default async function app(scope, receive, send) {
      if (scope.type !== "postgresql") throw new TypeError("Cannot serve this scope");
      ${body};
    }
  `;
}

async function endedSession(proxy: TestProxy): Promise<void> {
  await using client = await connectRaw(proxy.ports[0]!);
  await client.send(startupMessage());
  await readUntilReady(client);
  await client.send(TERMINATE);
  client.end();
  await client.readAll();
}

async function readUntilReady(client: Awaited<ReturnType<typeof connectRaw>>): Promise<void> {
  let seen = "";
  while (!seen.endsWith(textOf(READY))) {
    const chunk = await client.readSome();
    assert.ok(chunk !== null, `the session ended: ${JSON.stringify(seen)}`);
    seen += textOf(chunk);
  }
}
