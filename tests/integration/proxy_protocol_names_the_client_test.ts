/** PROXY protocol: demanded from the load balancers in `proxy_protocol_from`, and garbage from anybody else. */
import assert from "node:assert/strict";
import { levelOf } from "../../src/observe/levels.ts";
import { bytesOf, SSL_REQUEST } from "../wire/bytes.ts";
import { until } from "../support/closing_lines.ts";
import { startCountingBackend } from "../support/counting_backend.ts";
import { freeAddress } from "../support/free_port.ts";
import { makeCa } from "../support/pki.ts";
import { isEvent, listenerKeys, startTestProxy, type TestProxy } from "../support/proxy.ts";
import { v2Header } from "../support/proxy_header.ts";
import { connectRaw, readError, startupMessage } from "../support/raw_client.ts";

const ca = makeCa({ name: "CA" });
const leaf = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost"] });

const HEADERS: Readonly<Record<string, readonly [Uint8Array, string]>> = {
  "version 1": [bytesOf("PROXY TCP4 203.0.113.9 10.0.0.1 51514 6432\r\n"), "203.0.113.9:51514"],
  "version 2": [v2Header({ source: ["203.0.113.9", 51_514], crc: "right" }), "203.0.113.9:51514"],
  "version 2 over IPv6, with a TLV of 8 KB": [
    v2Header({ source: ["2001:db8::9", 51_514], tlvs: [[0x20, new Uint8Array(8_000)]] }),
    "[2001:db8::9]:51514",
  ],
};

for (const [what, [header, client]] of Object.entries(HEADERS)) {
  for (const tls of [true, false]) {
    for (const pieces of ["one piece", "pieces"]) {
      Deno.test(`a header of ${what} in ${pieces} names the client, ${tls ? "before TLS" : "in clear"}`, async () => {
        await using backend = await startCountingBackend();
        await using proxy = await startBehindBalancer(backend.backend);
        await using raw = await connectRaw(proxy.ports[0]!);
        const balancer = portOf(raw.socket);
        const first = tls ? SSL_REQUEST : startupMessage();
        const parts = pieces === "one piece" ? [bytesOf(header, first)] : cut(header, first);
        for (const part of parts) await raw.send(part);
        let stream = raw;
        if (tls) {
          assert.deepEqual(await raw.read(1), bytesOf("S"));
          stream = await raw.startTls();
          await stream.send(startupMessage());
        }
        assert.deepEqual(await stream.read(1), bytesOf("R"));
        stream.socket.destroy();
        const [line] = await proxy.closed(1);
        assert.deepEqual([line!.client, line!.proxy], [client, balancer]);
        assert.equal(line!.bytes_from_client, startupMessage().length);
        const received = proxy.events.find(isEvent("proxy_header.received"));
        assert.deepEqual([received?.client, received?.proxy], [client, balancer]);
      });
    }
  }
}

Deno.test("a load balancer that sends no header, or a malformed one, is refused", async (t) => {
  await using backend = await startCountingBackend();
  await using proxy = await startBehindBalancer(backend.backend);
  const cases = {
    "SSLRequest": SSL_REQUEST,
    "a StartupMessage": startupMessage(),
    "a header with a wrong checksum": v2Header({ source: ["203.0.113.9", 1], crc: "wrong" }),
    "a header of version 1 with an impossible port": bytesOf("PROXY TCP4 203.0.113.9 10.0.0.1 70000 1\r\n"),
  };
  for (const [i, [what, bytes]] of Object.entries(cases).entries()) {
    await t.step(what, async () => {
      await using raw = await connectRaw(proxy.ports[0]!);
      await raw.send(bytes);
      const { sqlstate, message } = await readError(raw);
      assert.equal(sqlstate, "08P01");
      assert.match(message, /^Cannot read the PROXY protocol header: /);
      assert.equal((await proxy.closed(i + 1))[i]?.reason, "protocol_violation");
    });
  }
  assert.equal(backend.accepts(), 0);
});

Deno.test("a header from anybody else is garbage, whatever address it claims", async () => {
  await using backend = await startCountingBackend();
  await using proxy = await startBehindBalancer(backend.backend, {
    proxy_protocol_from: ["127.0.0.2/32", "::1/128"],
  });
  for (const [i, header] of [HEADERS["version 1"]![0], HEADERS["version 2"]![0]].entries()) {
    await using raw = await connectRaw(proxy.ports[0]!);
    await raw.send(bytesOf(header, startupMessage()));
    assert.equal((await readError(raw)).sqlstate, "08P01");
    const line = (await proxy.closed(i + 1))[i]!;
    assert.deepEqual([line.reason, line.client, line.proxy], [
      "protocol_violation",
      portOf(raw.socket),
      undefined,
    ]);
  }
  await using direct = await connectRaw(proxy.ports[0]!);
  await direct.send(startupMessage());
  assert.deepEqual(await direct.read(1), bytesOf("R"), "without a header it is served");
  assert.equal(backend.accepts(), 1);
});

Deno.test("a load balancer that keeps silent is held to startup_timeout", async () => {
  await using backend = await startCountingBackend();
  await using proxy = await startBehindBalancer(backend.backend, { startup_timeout: "200ms" });
  await using silent = await connectRaw(proxy.ports[0]!);
  await silent.closed();
  await using half = await connectRaw(proxy.ports[0]!);
  await half.send(HEADERS["version 2"]![0].slice(0, 20));
  await half.closed();
  const lines = await proxy.closed(2);
  assert.deepEqual(lines.map(({ reason }) => reason), ["startup_timeout", "startup_timeout"]);
});

Deno.test("health checks of a load balancer are no news: LOCAL and close, connect and close", async () => {
  await using backend = await startCountingBackend();
  await using proxy = await startBehindBalancer(backend.backend);
  for (const bytes of [v2Header({ command: "local" }), bytesOf("PROXY UNKNOWN\r\n"), bytesOf()]) {
    await using raw = await connectRaw(proxy.ports[0]!);
    if (bytes.length > 0) await raw.send(bytes);
    raw.end();
    await raw.closed();
  }
  for (const line of await proxy.closed(3)) {
    assert.deepEqual([line.reason, levelOf(line)], ["client_closed", "debug"]);
    assert.match(line.client, /^127\.0\.0\.1:/);
  }
});

Deno.test("a load balancer may also check with a session of its own (LOCAL)", async () => {
  await using backend = await startCountingBackend();
  await using proxy = await startBehindBalancer(backend.backend);
  await using raw = await connectRaw(proxy.ports[0]!);
  const balancer = portOf(raw.socket);
  await raw.send(bytesOf(v2Header({ command: "local" }), startupMessage()));
  assert.deepEqual(await raw.read(1), bytesOf("R"));
  raw.socket.destroy();
  const [line] = await proxy.closed(1);
  assert.deepEqual([line!.client, line!.proxy], [balancer, balancer]);
});

Deno.test("behind a load balancer the server name still chooses the route", async () => {
  await using backend = await startCountingBackend();
  const address = freeAddress();
  const common = { bind_address: address, proxy_protocol_from: ["127.0.0.1"], ...listenerKeys(leaf) };
  await using proxy = await startTestProxy(
    { name: "named", listener: { ...common, server_names: ["db.test"] }, backend: backend.backend },
    { name: "default", listener: common, backend: backend.backend },
  );
  await using raw = await connectRaw(proxy.ports[0]!);
  await raw.send(bytesOf(HEADERS["version 2"]![0], SSL_REQUEST));
  assert.deepEqual(await raw.read(1), bytesOf("S"));
  const secured = await raw.startTls({ serverName: "db.test" });
  await secured.send(startupMessage());
  await until(() => backend.accepts() === 1, "the session");
  secured.socket.destroy();
  const [line] = await proxy.closed(1);
  assert.deepEqual([line!.route, line!.client], ["named", "203.0.113.9:51514"]);
});

Deno.test("silent clients behind a load balancer give way to those of another network behind it", async () => {
  await using backend = await startCountingBackend();
  await using proxy = await startBehindBalancer(backend.backend, { startup_timeout: "60s" });
  await using stack = new AsyncDisposableStack();
  const come = async (host: string) => {
    const raw = stack.use(await connectRaw(proxy.ports[0]!));
    await raw.send(bytesOf(`PROXY TCP4 ${host} 10.0.0.1 51514 6432\r\n`, SSL_REQUEST));
    return raw;
  };
  // Twice 512 and some, so that in the order of coming another one would have to wait for two of their turns.
  for (let i = 0; i < 11; i++) await Promise.all(Array.from({ length: 100 }, () => come("192.0.2.1")));
  const gone = () => proxy.events.filter(isEvent("connection.closed")).length;
  const before = gone();
  const other = await come("198.51.100.1");
  assert.deepEqual(await other.read(1), bytesOf("S"));
  assert.ok(gone() - before <= 512, `${gone() - before} had to give way before it came in`);
});

function startBehindBalancer(
  backend: Record<string, unknown>,
  more: Record<string, unknown> = {},
): Promise<TestProxy> {
  const keys = {
    unsafe_allow_plaintext: true,
    proxy_protocol_from: ["127.0.0.1/32"],
    ...listenerKeys(leaf),
    ...more,
  };
  return startTestProxy({ listener: keys, backend });
}

/** The header's last byte comes with the first bytes of the client. */
function cut(header: Uint8Array, first: Uint8Array): Uint8Array[] {
  return [header.slice(0, 9), header.slice(9, -1), bytesOf(header.slice(-1), first)];
}

function portOf(socket: { readonly localPort?: number | undefined }): string {
  return `127.0.0.1:${socket.localPort}`;
}
