/**
 * On a runtime whose handles pgtls does not know it copies with streams. Here the runtime denies them, and every test
 * of the relay runs once more.
 */
import assert from "node:assert/strict";
import { createServer } from "node:net";
import process from "node:process";

Object.defineProperty(process, "binding", { value: undefined });

const { nativeHandle } = await import("../../src/connection/native_handle.ts");
const { relay } = await import("../../src/connection/relay.ts");
const { aLook } = await import("../connection/look.ts");
const { connectPair } = await import("../connection/socket_pair.ts");

Deno.test("nativeHandle() is null for every socket of a runtime that does not show its state", async () => {
  const server = createServer();
  const socket = new Promise<Parameters<typeof nativeHandle>[0]>((resolve) =>
    server.on("connection", resolve)
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  using client = await Deno.connect(server.address() as { port: number });
  const accepted = await socket;
  assert.equal(nativeHandle(accepted), null);
  accepted.destroy();
  server.close();
  client.closeWrite().catch(() => {});
});

Deno.test("nobody asks a session to rest that never can", async () => {
  await using client = await connectPair();
  await using backend = await connectPair();
  const session = relay(client.socket, backend.socket, { idleTimeoutMs: 0 });
  let asked = 0;
  Object.assign(session, { rest: () => ++asked > 0 });
  await aLook();
  assert.equal(asked, 0);
  session.destroy();
});

await import("../connection/relay_test.ts");
await import("../connection/conversation_test.ts");
await import("./half_close_test.ts");
await import("./slow_reader_test.ts");
await import("./bytes_survive_back_pressure_test.ts");
await import("./lost_connection_test.ts");
await import("./drain_test.ts");
await import("./idle_timeout_test.ts");
