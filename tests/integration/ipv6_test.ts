/** IPv6 on both sides, and IPv4 clients of a listener on `[::]`. */
import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import { bytesOf } from "../wire/bytes.ts";
import { onlyClosingLine } from "../support/closing_lines.ts";
import { startCountingBackend } from "../support/counting_backend.ts";
import { PeerStream } from "../support/peer_stream.ts";
import { v2Header } from "../support/proxy_header.ts";
import { startTestProxy } from "../support/proxy.ts";
import { psql } from "../support/psql.ts";
import { startupMessage } from "../support/raw_client.ts";
import { startPlainPostgres } from "../support/postgres.ts";
import { routeTo } from "../support/two_legs.ts";

const ignore = !await hasIpv6();

Deno.test({ name: "psql reaches a listener on [::1]", ignore }, async () => {
  await using server = await startPlainPostgres();
  const route = routeTo(server.port, "clear", { listener: { bind_address: "[::1]:0" } });
  await using proxy = await startTestProxy(route);
  const { stdout, stderr } = await psql(
    `host=localhost hostaddr=::1 port=${proxy.ports[0]} user=alice dbname=demo sslmode=require`,
    { args: ["-c", "SELECT 1"] },
  );
  assert.equal(stdout, "1\n", stderr);
  assert.match((await onlyClosingLine(proxy)).client, /^\[::1\]:\d+$/);
  const bound = proxy.events.flatMap((event) => event.event === "listener.bound" ? [event.address] : []);
  assert.match(bound.join(), /^\[::1\]:\d+$/);
});

Deno.test(
  { name: "a backend on ::1 is reached, and logged as the configuration has it", ignore },
  async () => {
    await using inner = await startCountingBackend();
    const port = Number(inner.backend.address.split(":")[1]);
    const relay = createServer((socket) => {
      const target = connect({ host: "127.0.0.1", port });
      socket.pipe(target).pipe(socket);
      for (const each of [socket, target]) each.on("error", () => {});
    });
    await new Promise<void>((resolve) => relay.listen(0, "::1", resolve));
    const address = `[::1]:${(relay.address() as { port: number }).port}`;
    try {
      await using proxy = await startTestProxy({
        listener: routeTo(1, "clear").listener,
        backend: { address, tls_enabled: false },
      });
      await using client = await connectTo("127.0.0.1", proxy.ports[0]!);
      await client.send(startupMessage());
      assert.deepEqual(await client.read(1), bytesOf("R"));
      client.socket.destroy();
      assert.equal((await onlyClosingLine(proxy)).backend, address);
    } finally {
      await new Promise((resolve) => relay.close(resolve));
    }
  },
);

Deno.test({
  name: "an IPv4 client of a listener on [::] is an IPv4 client, also to proxy_protocol_from",
  ignore,
}, async () => {
  await using backend = await startCountingBackend();
  const { listener } = routeTo(1, "clear");
  await using proxy = await startTestProxy({
    listener: { ...listener, bind_address: "[::]:0", proxy_protocol_from: ["127.0.0.0/8"] },
    backend: backend.backend,
  });
  const port = proxy.ports[0]!;
  await using balancer = await connectTo("127.0.0.1", port);
  await balancer.send(bytesOf(v2Header({ source: ["192.0.2.9", 7] }), startupMessage()));
  assert.deepEqual(await balancer.read(1), bytesOf("R"));
  balancer.socket.destroy();
  await proxy.closed(1);
  await using direct = await connectTo("::1", port);
  await direct.send(startupMessage());
  assert.deepEqual(await direct.read(1), bytesOf("R"));
  direct.socket.destroy();
  const [behind, other] = await proxy.closed(2);
  assert.equal(behind!.client, "192.0.2.9:7");
  assert.match(behind!.proxy!, /^127\.0\.0\.1:\d+$/);
  assert.match(other!.client, /^\[::1\]:\d+$/);
});

function connectTo(host: string, port: number): Promise<PeerStream> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true });
    socket.once("error", reject);
    socket.once("connect", () => resolve(new PeerStream(socket)));
  });
}

function hasIpv6(): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(0, "::1", () => server.close(() => resolve(true)));
  });
}
