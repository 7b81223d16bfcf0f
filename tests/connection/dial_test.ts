import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { Deadline } from "../../src/connection/deadline.ts";
import { connectFirst, dial, takeTurns } from "../../src/connection/dial.ts";
import { freePort } from "../../src/demo/ports.ts";
import { describeAddress, formatAddress } from "../../src/connection/socket.ts";
import { startFakeBackend } from "../support/fake_backend.ts";
import { startSilentListener } from "../support/silent_listener.ts";

const FOREVER = new AbortController().signal;

Deno.test("dial() connects to TCP and tells of the socket before it is connected", async () => {
  await using backend = await startFakeBackend(() => Promise.resolve());
  const told: unknown[] = [];
  const onSocket = (socket: Socket) => told.push(socket, socket.connecting);
  const socket = await dial(tcp(backend.port), { signal: FOREVER, onSocket });
  assert.deepEqual(told, [socket, true]);
  socket.destroy();
});

Deno.test("dial() rejects with backend_unreachable when nobody listens", async () => {
  const options = { signal: FOREVER, onSocket: () => {} };
  const unreachable = (message: RegExp) => ({ reason: "backend_unreachable", message });
  await assert.rejects(dial(tcp(freePort()), options), unreachable(/ECONNREFUSED/));
  const socketPath = { kind: "unix", path: "/nonexistent/.s.PGSQL.5432" } as const;
  await assert.rejects(dial(socketPath, options), unreachable(/ENOENT/));
});

Deno.test("dial() rejects when its socket is destroyed by somebody else", async () => {
  await using backend = await startFakeBackend(() => Promise.resolve());
  const options = { signal: FOREVER, onSocket: (socket: Socket) => void socket.destroy() };
  await assert.rejects(dial(tcp(backend.port), options), { reason: "backend_unreachable" });
});

Deno.test("dial() rejects with the reason of its signal", async () => {
  await using backend = await startFakeBackend(() => Promise.resolve());
  const { signal } = new Deadline(0, "backend_timeout", "late");
  const sockets: Socket[] = [];
  const onSocket = (socket: Socket) => {
    sockets.push(socket);
    // As if the network did not answer: only the deadline is left.
    socket.emit = () => false;
  };
  await assert.rejects(dial(tcp(backend.port), { signal, onSocket }), { reason: "backend_timeout" });
  sockets.forEach((socket) => socket.destroy());
});

Deno.test("connectFirst() goes on to the next address as soon as one fails", async () => {
  await using backend = await startFakeBackend(() => Promise.resolve());
  const targets = ["127.0.0.3", "127.0.0.2", "127.0.0.1"].map((host) => ({ host, port: backend.port }));
  const sockets: Socket[] = [];
  const options = { signal: FOREVER, onSocket: (socket: Socket) => void sockets.push(socket) };
  const socket = await connectFirst(targets, options);
  assert.equal(socket.remoteAddress, "127.0.0.1");
  assert.equal(sockets.length, 3);
  socket.destroy();
});

Deno.test("connectFirst() rejects with every address it tried", async () => {
  const port = freePort();
  const targets = ["127.0.0.1", "127.0.0.2"].map((host) => ({ host, port }));
  await assert.rejects(connectFirst(targets, { signal: FOREVER, onSocket: () => {} }), {
    reason: "backend_unreachable",
    message: `Could not connect to the backend: connect ECONNREFUSED 127.0.0.1:${port}; ` +
      `connect ECONNREFUSED 127.0.0.2:${port}`,
  });
});

Deno.test("connectFirst() does not wait for an address that is silent, and leaves no attempt behind", async () => {
  await using silent = await startSilentListener();
  await using backend = await startFakeBackend(() => Promise.resolve());
  const sockets: Socket[] = [];
  const options = { signal: FOREVER, onSocket: (socket: Socket) => void sockets.push(socket) };
  const targets = [silent, { host: "127.0.0.1", port: backend.port }];
  const socket = await connectFirst(targets, options);
  assert.equal(socket.remotePort, backend.port);
  assert.deepEqual(sockets.map(({ destroyed }) => destroyed), [true, false]);
  socket.destroy();
});

Deno.test("connectFirst() does not give a slow address up when a later one has failed", async () => {
  await using silent = await startSilentListener();
  const dead = { host: "127.0.0.1", port: freePort() };
  const onSocket = () => {};
  const connecting = connectFirst([silent, dead, dead], { signal: FOREVER, onSocket });
  // The second and third have failed by then; the system repeats its SYN after a second.
  await new Promise((resolve) => setTimeout(resolve, 600));
  await silent.wake();
  const socket = await connecting;
  assert.equal(socket.remotePort, silent.port);
  socket.destroy();
});

Deno.test("connectFirst() names what it tried when its deadline has come, and ends every attempt", async () => {
  await using silent = await startSilentListener();
  const sockets: Socket[] = [];
  const { signal } = new Deadline(400, "backend_timeout", "late");
  const options = { signal, onSocket: (socket: Socket) => void sockets.push(socket) };
  await assert.rejects(connectFirst([silent, silent, silent], options), {
    reason: "backend_timeout",
    message: `late: tried ${formatAddress(silent.host, silent.port)}, ${
      formatAddress(silent.host, silent.port)
    }`,
  });
  assert.deepEqual(sockets.map(({ destroyed }) => destroyed), [true, true]);
});

Deno.test("dial() resolves names, and says which it could not", async () => {
  await using backend = await startFakeBackend(() => Promise.resolve());
  const options = { signal: FOREVER, onSocket: () => {} };
  const socket = await dial({ kind: "tcp", host: "localhost", port: backend.port }, options);
  socket.destroy();
  await assert.rejects(dial({ kind: "tcp", host: "nobody.invalid", port: 5432 }, options), {
    reason: "backend_unreachable",
    message: /nobody\.invalid/,
  });
});

Deno.test("takeTurns() lets the families take turns, the first address's first, and bounds their number", () => {
  assert.deepEqual(takeTurns(["::1", "::2", "10.0.0.1", "::1", "::3", "10.0.0.2"]), [
    "::1",
    "10.0.0.1",
    "::2",
    "10.0.0.2",
    "::3",
  ]);
  assert.deepEqual(takeTurns(["10.0.0.1", "::1", "::2", "::3"]), ["10.0.0.1", "::1", "::2", "::3"]);
  assert.equal(takeTurns(Array.from({ length: 100 }, (_, i) => `10.0.0.${i}`)).length, 16);
  assert.deepEqual(takeTurns([]), []);
});

Deno.test("describeAddress() shows what the configuration says", () => {
  assert.equal(describeAddress(tcp(5432)), "127.0.0.1:5432");
  assert.equal(describeAddress({ kind: "tcp", host: "::1", port: 5432 }), "[::1]:5432");
  assert.equal(
    describeAddress({ kind: "unix", path: "/run/postgresql/.s.PGSQL.5432" }),
    "/run/postgresql/.s.PGSQL.5432",
  );
});

Deno.test("formatAddress() calls an IPv4 client of an IPv6 socket by its own address", () => {
  assert.equal(formatAddress("::ffff:192.0.2.1", 1), "192.0.2.1:1");
  assert.equal(formatAddress("2001:db8::1", 1), "[2001:db8::1]:1");
  assert.equal(formatAddress(undefined, undefined), "unknown");
});

function tcp(port: number) {
  return { kind: "tcp", host: "127.0.0.1", port } as const;
}
