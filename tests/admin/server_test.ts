/** AdminServer with apps that do everything an app can get wrong, and clients that do everything a client can. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { AdminServer, type AdminTimeouts } from "../../src/admin/server.ts";
import type { PgtlsEvent } from "../../src/observe/events.ts";
import type { App, HttpScope, Scope, SendEvent, WebsocketScope } from "../../src/scope/types.ts";
import { ask, openSocket } from "../support/admin_client.ts";
import { eventually, until } from "../support/closing_lines.ts";

const START = { type: "http.response.start", status: 200 } as const;
const BODY = { type: "http.response.body", body: "hello" } as const;

/** What an app does, and the status its client gets. */
const WRONG: Readonly<Record<string, readonly [app: App, status: number]>> = {
  "throws": [() => Promise.reject(new Error("secret of the app")), 500],
  "throws at once": [() => {
    throw new Error("secret of the app");
  }, 500],
  "returns without a response": [() => {}, 500],
  "returns what looks like a response": [() => ({ status: 200, body: "hello" }), 500],
  "sends a body before the start": [(_scope, _receive, send) => send(BODY), 500],
  "sends an unknown event": [
    (_scope, _receive, send) => send({ type: "http.hello" } as unknown as SendEvent),
    500,
  ],
  "sends a WebSocket's event": [(_scope, _receive, send) => send({ type: "websocket.accept" }), 500],
  "answers with status 700": [(_scope, _receive, send) => send({ ...START, status: 700 }), 500],
  "sends a header that would be two": [
    (_scope, _receive, send) => send({ ...START, headers: [["x-a", "1\r\nx-b: 2"]] }),
    500,
  ],
};

for (const [what, [app, status]] of Object.entries(WRONG)) {
  Deno.test(`AdminServer answers ${status} for an app that ${what}, says so in the log, and lives on`, async () => {
    await using server = await start(app);
    for (let i = 0; i < 2; i++) {
      const answer = await ask(server.port, "/");
      assert.equal(answer.status, status);
      assert.doesNotMatch(answer.text, /secret/);
    }
    assert.deepEqual(server.events.map(({ event }) => event), ["server.failed", "server.failed"]);
  });
}

Deno.test("AdminServer cuts the connection of an app that stops in the middle, so that nobody takes it for whole", async () => {
  const apps: App[] = [
    async (_scope, _receive, send) => {
      await send(START);
      await send({ ...BODY, more: true });
    },
    async (_scope, _receive, send) => {
      await send(START);
      await send({ ...BODY, more: true });
      throw new Error("in the middle");
    },
  ];
  for (const app of apps) {
    await using server = await start(app);
    await assert.rejects(ask(server.port, "/"));
    assert.deepEqual(server.events.map(({ event }) => event), ["server.failed"]);
  }
});

Deno.test("AdminServer refuses a second start, and what comes after the end, but sends the first response", async () => {
  const refused: string[] = [];
  await using server = await start(async (_scope, _receive, send) => {
    await send(START);
    await send(START).catch((error) => refused.push(error.message));
    await send(BODY);
    await send(BODY).catch((error) => refused.push(error.message));
  });
  assert.equal((await ask(server.port, "/")).text, "hello");
  assert.deepEqual(refused, [
    "Cannot start a response twice",
    "Cannot send a body: the response is complete",
  ]);
});

Deno.test("AdminServer gives an app the scope of its request", async () => {
  const scopes: Scope[] = [];
  await using server = await start(async (scope, receive, send) => {
    scopes.push(scope);
    const request = await receive();
    await send(START);
    await send({ type: "http.response.body", body: (request as { body: Uint8Array }).body });
  });
  const answer = await ask(server.port, "/a%20b/%C3%A9?x=1&y=?", {
    method: "POST",
    headers: { "X-Twice": "one" },
    body: "bytes",
  });
  assert.equal(answer.text, "bytes");
  const scope = scopes[0] as HttpScope;
  assert.deepEqual(
    [
      scope.type,
      scope.scheme,
      scope.method,
      scope.http_version,
      scope.path,
      scope.raw_path,
      scope.query_string,
    ],
    ["http", "http", "POST", "1.1", "/a b/é", "/a%20b/%C3%A9", "x=1&y=?"],
  );
  assert.ok(scope.headers.some(([name, value]) => name === "x-twice" && value === "one"));
  assert.deepEqual(scope.server, ["127.0.0.1", server.port]);
  assert.equal(scope.client[0], "127.0.0.1");
  assert.deepEqual(scope.extensions, {});
});

Deno.test("AdminServer tells an app that its client has gone, and does not blame it for stumbling over that", async () => {
  let isTold = false;
  await using server = await start(async (_scope, receive, send) => {
    await receive();
    const { type } = await receive();
    isTold = type === "http.disconnect";
    await send(START);
  });
  const client = connect(server.port, "127.0.0.1");
  client.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await until(() => server.calls === 1, "the app to be called");
  client.destroy();
  await until(() => isTold, "http.disconnect");
  assert.deepEqual(server.events, []);
});

Deno.test("AdminServer refuses bodies over 64 KiB with 413, declared or not, before the app is called", async () => {
  await using server = await start(() => {});
  const body = new Uint8Array(65 * 1024);
  const declared = { "content-length": String(body.length) };
  for (const headers of [declared, { "transfer-encoding": "chunked" }]) {
    assert.equal((await ask(server.port, "/", { method: "POST", body, headers })).status, 413);
  }
  assert.equal(server.calls, 0);
});

const BAD_REQUESTS: Readonly<Record<string, readonly [request: string, status: number]>> = {
  "a header of 20 KB": [`GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(20_000)}\r\n\r\n`, 431],
  "3,000 headers": [`GET / HTTP/1.1\r\nHost: a\r\n${"a: bcdefgh\r\n".repeat(3_000)}\r\n`, 431],
  "a target of 20 KB": [`GET /${"x".repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 431],
  "something that is not HTTP": ["\x16\x03\x01\x02\x00\x01\r\n\r\n", 400],
  "a length and chunks": [
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    400,
  ],
  "no Host": ["GET / HTTP/1.1\r\n\r\n", 400],
  "a target in absolute form": ["GET http://attacker.example/ HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  "a target that does not decode": ["GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  "an Upgrade to h2c": [
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
    400,
  ],
};

for (const [what, [request, status]] of Object.entries(BAD_REQUESTS)) {
  Deno.test(`AdminServer answers ${what} with ${status}, before the app is called`, async () => {
    await using server = await start(() => {});
    assert.match(await answerTo(server.port, request), new RegExp(`^HTTP/1\\.1 ${status} `));
    assert.equal(server.calls, 0);
  });
}

Deno.test("AdminServer serves one request on a connection, and calls no app for a second one", async () => {
  await using server = await start(async (_scope, _receive, send) => {
    await send(START);
    await send(BODY);
  });
  const request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const upgrade = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  const answers = await Promise.all(
    [request, upgrade].map((second) => answerTo(server.port, request + second)),
  );
  for (const answer of answers) assert.ok((answer.match(/HTTP\/1\.1/g)?.length ?? 0) <= 1, answer);
  assert.match(answers[0]!, /hello/);
  assert.equal(server.calls, 2);
});

Deno.test("AdminServer holds 32 connections at a time, and gives a place back with each that ends", async () => {
  await using server = await start(async (_scope, _receive, send) => {
    await send(START);
    await send(BODY);
  });
  const idle = Array.from({ length: 40 }, () => connect(server.port, "127.0.0.1"));
  for (const socket of idle) socket.on("error", () => {});
  const ended = () => idle.filter((socket) => socket.destroyed || socket.readableEnded).length;
  for (const socket of idle) socket.resume();
  await until(() => ended() === 8, "8 connections to be turned away");
  await assert.rejects(ask(server.port, "/"));
  idle.forEach((socket) => socket.destroy());
  await until(async () => (await ask(server.port, "/").catch(() => null))?.text === "hello", "a free place");
});

const SLOW: Readonly<Record<string, string>> = {
  "nothing at all": "",
  "half a head": "GET / HTTP/1.1\r\nHost: a\r\n",
  "half a body": "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
};

for (const [what, request] of Object.entries(SLOW)) {
  Deno.test(`AdminServer ends the connection of a client that sends ${what}, without a call of the app`, async () => {
    await using server = await start(() => {}, { requestMs: 50 });
    assert.equal(await answerTo(server.port, request), "");
    assert.equal(server.calls, 0);
  });
}

Deno.test("AdminServer ends the connection of a client that does not take its answer", async () => {
  await using server = await start(async (_scope, _receive, send) => {
    await send(START);
    const body = "x".repeat(1024 * 1024);
    for (let i = 0; i < 64; i++) await send({ type: "http.response.body", body, more: true });
    throw new Error("all of it was taken");
  }, { answerMs: 200 });
  const client = connect(server.port, "127.0.0.1");
  client.on("error", () => {});
  client.pause();
  client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await until(() => server.settled === 1, "the app to be told");
  client.destroy();
  assert.deepEqual(server.events, []);
});

Deno.test("AdminServer gets rid of clients that stay after their WebSocket was refused", async () => {
  await using server = await start(async (scope, _receive, send) => {
    if (scope.type === "websocket") return await send({ type: "websocket.close" });
    await send(START);
    await send(BODY);
  }, { answerMs: 100 });
  const upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  const refused = Array.from({ length: 32 }, () => {
    const socket = connect({ host: "127.0.0.1", port: server.port, allowHalfOpen: true });
    socket.on("error", () => {});
    socket.resume();
    socket.write(upgrade);
    return socket;
  });
  await until(() => refused.every((socket) => socket.readableEnded || socket.destroyed), "32 refusals");
  await until(async () => (await ask(server.port, "/").catch(() => null))?.text === "hello", "a free place");
  refused.forEach((socket) => socket.destroy());
});

Deno.test("AdminServer drops a WebSocket that does not answer pings, and keeps one that does", async () => {
  await using server = await start(async (_scope, receive, send) => {
    await receive();
    await send({ type: "websocket.accept" });
    while ((await receive()).type !== "websocket.disconnect");
  }, { pingMs: 400 });
  using alive = openSocket(server.port, "/");
  using dead = openSocket(server.port, "/", { autoPong: false });
  assert.deepEqual(await Promise.all([alive.opened, dead.opened]), [101, 101]);
  assert.equal(await eventually(dead.closed, "a drop"), 1006);
  assert.equal(alive.socket.readyState, alive.socket.OPEN);
});

/** What an app does with a WebSocket, what its client sees, and whether it is the app's fault. */
const SOCKETS: Readonly<Record<string, readonly [app: App, opened: number, closed: number, errors: number]>> =
  {
    "closes before accepting": [(_scope, _receive, send) => send({ type: "websocket.close" }), 403, 0, 0],
    "refuses with a status of its own": [
      (_scope, _receive, send) => send({ type: "websocket.http.response.start", status: 404 }),
      404,
      0,
      0,
    ],
    "refuses what it has accepted": [
      async (_scope, _receive, send) => {
        await send({ type: "websocket.accept" });
        await send({ type: "websocket.http.response.start", status: 404 });
      },
      101,
      1011,
      1,
    ],
    "returns without accepting": [() => {}, 500, 0, 1],
    "throws before accepting": [() => Promise.reject(new Error("no")), 500, 0, 1],
    "answers with HTTP": [(_scope, _receive, send) => send(START), 500, 0, 1],
    "accepts and returns": [(_scope, _receive, send) => send({ type: "websocket.accept" }), 101, 1000, 0],
    "accepts and throws": [
      async (_scope, _receive, send) => {
        await send({ type: "websocket.accept" });
        throw new Error("no");
      },
      101,
      1011,
      1,
    ],
    "accepts twice": [
      async (_scope, _receive, send) => {
        await send({ type: "websocket.accept" });
        await send({ type: "websocket.accept" });
      },
      101,
      1011,
      1,
    ],
    "closes with a code of its own": [
      async (_scope, _receive, send) => {
        await send({ type: "websocket.accept" });
        await send({ type: "websocket.close", code: 4001, reason: "enough" });
      },
      101,
      4001,
      0,
    ],
  };

for (const [what, [app, opened, closed, errors]] of Object.entries(SOCKETS)) {
  Deno.test(`AdminServer shows ${opened || "nothing"}, then ${closed}, to the WebSocket of an app that ${what}`, async () => {
    await using server = await start(app);
    using socket = openSocket(server.port, "/");
    assert.equal(await socket.opened, opened);
    assert.equal(await eventually(socket.closed, "a close"), closed);
    assert.equal(server.events.length, errors);
  });
}

Deno.test("AdminServer gives an app the scope and messages of its WebSocket, and the subprotocol it chooses", async () => {
  let scope: Scope | undefined;
  await using server = await start(async (given, receive, send) => {
    scope = given;
    assert.equal((await receive()).type, "websocket.connect");
    await send({ type: "websocket.accept", subprotocol: "two" });
    const message = await receive();
    if (message.type === "websocket.receive") {
      await send({ type: "websocket.send", text: `${message.text}!` });
    }
    assert.equal((await receive()).type, "websocket.disconnect");
  });
  using client = openSocket(server.port, "/s?q=1", { protocols: ["one", "two"] });
  assert.equal(await client.opened, 101);
  assert.equal(client.socket.protocol, "two");
  client.socket.send("hello");
  await until(() => client.messages.length === 1, "an answer");
  assert.deepEqual(client.messages, ["hello!"]);
  assert.deepEqual((scope as WebsocketScope).subprotocols, ["one", "two"]);
  assert.deepEqual([scope!.type, (scope as WebsocketScope).scheme], ["websocket", "ws"]);
  assert.equal((scope as WebsocketScope).query_string, "q=1");
});

Deno.test("AdminServer does not read on for an app that does not take its messages", async () => {
  let hasStopped = () => {};
  const stopped = new Promise<void>((resolve) => hasStopped = resolve);
  await using server = await start(async (_scope, receive, send) => {
    await receive();
    await send({ type: "websocket.accept" });
    await stopped;
  });
  using client = openSocket(server.port, "/");
  assert.equal(await client.opened, 101);
  const flood = "x".repeat(4_000);
  // Far more than the socket buffers of both sides.
  for (let i = 0; i < 8_000; i++) client.socket.send(flood);
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.ok(client.socket.bufferedAmount > 1_000_000, `${client.socket.bufferedAmount} unsent`);
  hasStopped();
});

Deno.test("AdminServer closes a WebSocket whose message is over 4 KiB", async () => {
  await using server = await start(async (_scope, receive, send) => {
    await receive();
    await send({ type: "websocket.accept" });
    while ((await receive()).type !== "websocket.disconnect");
  });
  using client = openSocket(server.port, "/");
  assert.equal(await client.opened, 101);
  client.socket.send("x".repeat(5_000));
  assert.equal(await eventually(client.closed, "a close"), 1009);
});

Deno.test("AdminServer drops a WebSocket that does not read, instead of buffering for it", async () => {
  let sent = 0;
  await using server = await start(async (_scope, receive, send) => {
    await receive();
    await send({ type: "websocket.accept" });
    const text = "x".repeat(16 * 1024);
    const deliver = async (): Promise<void> => {
      // As /events does: nobody waits for a message to be taken.
      void send({ type: "websocket.send", text }).catch(() => {});
      sent += text.length;
      await new Promise((resolve) => setTimeout(resolve, 0));
    };
    while (server.dropped === 0 && sent < 200_000_000) await deliver();
    assert.equal((await receive()).type, "websocket.disconnect");
  });
  using client = openSocket(server.port, "/");
  assert.equal(await client.opened, 101);
  client.socket.pause();
  await until(() => server.dropped === 1, `the client to be dropped, ${sent} bytes sent`);
  assert.ok(sent < 20_000_000, `${sent} bytes sent`);
  assert.deepEqual(server.events, []);
});

Deno.test("AdminServer holds 8 WebSockets of one address, and gives a place back", async () => {
  await using server = await start(async (_scope, receive, send) => {
    await receive();
    await send({ type: "websocket.accept" });
    while ((await receive()).type !== "websocket.disconnect");
  });
  using sockets = new DisposableStack();
  const first = Array.from({ length: 8 }, () => sockets.use(openSocket(server.port, "/")));
  for (const { opened } of first) assert.equal(await opened, 101);
  assert.equal(await sockets.use(openSocket(server.port, "/")).opened, 503);
  first[0]!.socket.close();
  await eventually(first[0]!.closed, "a close");
  await until(async () => await sockets.use(openSocket(server.port, "/")).opened === 101, "a free place");
});

Deno.test("AdminServer.close tells WebSockets that it goes away, and leaves nothing open", async () => {
  const server = await start(async (_scope, receive, send) => {
    await receive();
    await send({ type: "websocket.accept" });
    while ((await receive()).type !== "websocket.disconnect");
  });
  using client = openSocket(server.port, "/");
  const idle = connect(server.port, "127.0.0.1");
  assert.equal(await client.opened, 101);
  await server[Symbol.asyncDispose]();
  assert.equal(await eventually(client.closed, "a close"), 1001);
  await until(() => idle.destroyed || idle.readableEnded || idle.closed, "the idle connection to end");
  await assert.rejects(ask(server.port, "/"));
});

/** A server on a free port that runs `app` and counts. */
async function start(app: App, timeouts: AdminTimeouts = {}) {
  const events: PgtlsEvent[] = [];
  let calls = 0;
  let settled = 0;
  let dropped = 0;
  const server = await AdminServer.bind({
    address: { kind: "tcp", host: "127.0.0.1", port: 0 },
    material: null,
    app: async (scope, receive, send) => {
      calls++;
      try {
        await app(scope, receive, send);
      } finally {
        settled++;
      }
    },
    observe: (event) => events.push(event),
    onDropped: () => dropped++,
    timeouts,
  });
  const { port } = server.address;
  return {
    port,
    events,
    get calls() {
      return calls;
    },
    /** Calls that have come to an end. */
    get settled() {
      return settled;
    },
    get dropped() {
      return dropped;
    },
    [Symbol.asyncDispose]: () => server.close(),
  };
}

function answerTo(port: number, text: string): Promise<string> {
  const answer = new Promise<string>((resolve) => {
    const socket = connect(port, "127.0.0.1");
    let all = "";
    socket.on("data", (piece) => all += piece.toString("latin1"));
    socket.on("error", () => {});
    socket.on("close", () => resolve(all));
    socket.write(text, "latin1");
  });
  return eventually(answer, "the end of the connection");
}
