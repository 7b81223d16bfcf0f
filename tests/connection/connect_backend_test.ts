import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { describeAddress, dial } from "../../src/connection/connect_backend.ts";
import { Deadline } from "../../src/connection/deadline.ts";
import { deadPort, startFakeBackend } from "../support/fake_backend.ts";

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
  await assert.rejects(dial(tcp(await deadPort()), options), unreachable(/ECONNREFUSED/));
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

Deno.test("describeAddress() shows what the configuration says", () => {
  assert.equal(describeAddress(tcp(5432)), "127.0.0.1:5432");
  assert.equal(describeAddress({ kind: "tcp", host: "::1", port: 5432 }), "[::1]:5432");
  assert.equal(
    describeAddress({ kind: "unix", path: "/run/postgresql/.s.PGSQL.5432" }),
    "/run/postgresql/.s.PGSQL.5432",
  );
});

function tcp(port: number) {
  return { kind: "tcp", host: "127.0.0.1", port } as const;
}
