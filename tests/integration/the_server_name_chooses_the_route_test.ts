/** Several routes on one address: the name a client asks for chooses, and a name that cannot be read chooses nothing. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { bytesOf, SSL_REQUEST } from "../wire/bytes.ts";
import { helloMessage, serverNameExtension, toRecords, usualExtensions } from "../support/client_hello.ts";
import { until } from "../support/closing_lines.ts";
import { type CountingBackend, startCountingBackend } from "../support/counting_backend.ts";
import { freeAddress } from "../support/free_port.ts";
import { type Cut, startHelloCutter } from "../support/hello_cutter.ts";
import type { PeerTlsOptions } from "../support/peer_stream.ts";
import { makeCa } from "../support/pki.ts";
import { type PostgresServer, startPlainPostgres } from "../support/postgres.ts";
import { isEvent, listenerKeys, type RouteTables, startTestProxy, type TestProxy } from "../support/proxy.ts";
import { psql, psql18, startPsql } from "../support/psql.ts";
import { connectRaw, connectRawTls, readError, startupMessage } from "../support/raw_client.ts";
import { sClient } from "../support/s_client.ts";

const ca = makeCa({ name: "CA" });
const clientCa = makeCa({ name: "client CA" });
const client = clientCa.issue({ name: "alice", purpose: "client" });

/** Names of routes, and the server names that lead to them. */
const NAMES = {
  exact: ["db1.example.com", "db2.example.com"],
  wildcard: ["*.example.com"],
  strict: ["strict.test"],
  default: [],
} as const;

type Name = keyof typeof NAMES;

const leaves = {
  exact: ca.issue({ name: "exact", purpose: "server", sans: [...NAMES.exact] }),
  wildcard: ca.issue({ name: "wildcard", purpose: "server", sans: [...NAMES.wildcard] }),
  strict: ca.issue({ name: "strict", purpose: "server", sans: [...NAMES.strict] }),
  default: ca.issue({ name: "default", purpose: "server", sans: ["localhost"] }),
} satisfies Record<Name, unknown>;

Deno.test("the server name chooses the route: exact before wildcard, a wildcard for one label, else the default", async () => {
  await using backend = await startCountingBackend();
  await using proxy = await startNamed(["default", "wildcard", "exact"], backend);
  const cases: readonly [string, Name][] = [
    ["db1.example.com", "exact"],
    ["DB2.Example.COM", "exact"],
    ["db2.example.com.", "exact"],
    ["db3.example.com", "wildcard"],
    ["a.db1.example.com", "default"],
    ["example.com", "default"],
    ["other.test", "default"],
    ["localhost", "default"],
    ["127.0.0.1", "default"],
  ];
  for (const [i, [serverName, route]] of cases.entries()) {
    const { ready, stdout } = await sClient(proxy.ports[0]!, { serverName });
    assert.ok(ready, `${serverName}: ${stdout}`);
    assert.match(stdout, new RegExp(`subject=CN = ${route}\n`), serverName);
    assert.equal((await proxy.closed(i + 1))[i]?.route, route, serverName);
  }
  const chosen = proxy.events.filter(isEvent("route.chosen"));
  assert.deepEqual(chosen.map(({ server_name }) => server_name).slice(0, 3), [
    "db1.example.com",
    "db2.example.com",
    "db2.example.com",
  ]);
  const accepted = proxy.events.filter(isEvent("connection.accepted"));
  assert.ok(accepted.every(({ route }) => route === null), "nobody knows the route before the name");
});

Deno.test("psql with sslmode=verify-full reaches the route of its host, after SSLRequest and by direct TLS", async () => {
  await using server = await startPlainPostgres();
  const backend = backendOf(server);
  await using proxy = await startNamed(["exact", "wildcard"], { backend });
  const rootCert = `${proxy.dir}/root.pem`;
  await Deno.writeTextFile(rootCert, ca.certPem);
  const conninfo = (host: string) =>
    `host=${host} hostaddr=127.0.0.1 port=${
      proxy.ports[0]
    } user=alice dbname=demo sslmode=verify-full sslrootcert=${rootCert}`;
  for (const [i, host] of ["db1.example.com", "x.example.com"].entries()) {
    const requested = await psql(conninfo(host), { args: ["-c", "SELECT 1"] });
    assert.equal(requested.stdout, "1\n", requested.stderr);
    const direct = await psql18(`${conninfo(host)} sslnegotiation=direct`, { args: ["-c", "SELECT 2"] });
    assert.equal(direct.stdout, "2\n", direct.stderr);
    const lines = (await proxy.closed(2 * i + 2)).slice(2 * i);
    assert.deepEqual(
      lines.map(({ route }) => route),
      i === 0 ? ["exact", "exact"] : ["wildcard", "wildcard"],
    );
  }
});

Deno.test("a name that nobody serves is refused with an alert, and nothing is dialled", async () => {
  await using backend = await startCountingBackend();
  for (const names of [["exact", "wildcard"], ["exact"]] as const) {
    await using proxy = await startNamed(names, backend);
    const port = proxy.ports[0]!;
    for (const [i, serverName] of ["other.test", "a.b.example.com", "127.0.0.2"].entries()) {
      const conninfo =
        `host=${serverName} hostaddr=127.0.0.1 port=${port} user=alice dbname=demo sslmode=require`;
      for (const run of [psql, psql18]) {
        const { code, stderr } = await run(conninfo, { args: ["-c", "SELECT 1"] });
        assert.equal(code, 2);
        assert.match(stderr, /SSL error: (tlsv1|ssl\/tls alert) unrecognized name/);
      }
      const line = (await proxy.closed(2 * i + 2))[2 * i]!;
      assert.deepEqual([line.reason, line.route], ["unrecognized_name", null]);
      assert.match(
        line.detail!,
        /^Client (names no server|asks for server name ".+"): no route of this address has it/,
      );
    }
  }
  assert.equal(backend.accepts(), 0);
});

const LONG_ALPN = ["postgresql", ...Array.from({ length: 150 }, (_, i) => `protocol-${i}`.padEnd(60, "x"))];
const CUTS: Readonly<Record<string, Cut & { readonly tls?: PeerTlsOptions }>> = {
  "in segments of one byte": { segment: 1 },
  "in records of one byte": { record: 1 },
  "in records of one byte, in segments of seven": { record: 1, segment: 7 },
  "with its first byte alone": { segment: 1_000, record: 1 },
  "of post-quantum size, in segments of 1,200 bytes": { segment: 1_200, tls: { alpn: LONG_ALPN } },
  "of post-quantum size, in records of 100 bytes": { record: 100, segment: 1_400, tls: { alpn: LONG_ALPN } },
};

for (const [what, { tls, ...cut }] of Object.entries(CUTS)) {
  Deno.test(`a ClientHello ${what} chooses the route it names, never the default`, async () => {
    await using backend = await startCountingBackend();
    await using proxy = await startNamed(["default", "strict", "exact"], backend);
    await using cutter = await startHelloCutter(proxy.ports[0]!, cut);
    await using known = await connectRawTls(cutter.port, { serverName: "db1.example.com", ...tls });
    await known.send(startupMessage());
    assert.ok((await known.read(1)).length > 0);
    assert.equal(peerName(known.socket as TLSSocket), "exact");
    await using stranger = await connectRawTls(cutter.port, { serverName: "strict.test", ...tls });
    const { sqlstate, message } = await readError(stranger);
    assert.deepEqual([sqlstate, message], ["28000", "client certificate required"]);
    assert.equal(backend.accepts(), 1);
  });
}

const secret = serverNameExtension("strict.test");
const UNREADABLE: Readonly<Record<string, Uint8Array>> = {
  "two server names": toRecords(
    helloMessage({ extensions: [...usualExtensions(), serverNameExtension("strict.test", "localhost")] }),
  ),
  "the server_name extension twice": toRecords(
    helloMessage({ extensions: [...usualExtensions(), secret, serverNameExtension("localhost")] }),
  ),
  "an empty server_name extension": toRecords(
    helloMessage({ extensions: [...usualExtensions(), [0, bytesOf()]] }),
  ),
  "a name with a NUL": toRecords(
    helloMessage({ extensions: [...usualExtensions(), serverNameExtension("strict.test\0.x")] }),
  ),
  "a second message in its record": toRecords(
    bytesOf(helloMessage({ extensions: [...usualExtensions(), secret] }), helloMessage()),
  ),
  "an empty record before it": bytesOf(Uint8Array.of(0x16, 3, 1, 0, 0), toRecords(helloMessage())),
  "no end": toRecords(bytesOf(Uint8Array.of(1, 2, 0, 0), new Uint8Array(66_000))),
};

Deno.test("a ClientHello that cannot be read is refused, and never taken for one without a name", async (t) => {
  await using backend = await startCountingBackend();
  await using proxy = await startNamed(["default", "strict"], backend);
  let count = 0;
  for (const [what, hello] of Object.entries(UNREADABLE)) {
    await t.step(what, async () => {
      await using raw = await connectRaw(proxy.ports[0]!);
      await raw.send(SSL_REQUEST);
      assert.deepEqual(await raw.read(1), bytesOf("S"));
      await raw.send(hello);
      assert.deepEqual(await raw.read(7), DECODE_ERROR);
      const line = (await proxy.closed(++count))[count - 1]!;
      assert.deepEqual([line.reason, line.route], ["handshake_failed", null]);
      assert.match(line.detail!, /^Cannot read the ClientHello: /);
    });
  }
  await using half = await connectRaw(proxy.ports[0]!);
  await half.send(toRecords(helloMessage({ extensions: [secret] })).slice(0, 60));
  half.end();
  assert.equal((await half.readAll()).length, 0);
  assert.equal((await proxy.closed(count + 1))[count]?.reason, "client_closed");
  assert.equal(backend.accepts(), 0);
});

Deno.test("each route has its own client certificates and lowest TLS version", async () => {
  await using backend = await startCountingBackend();
  await using proxy = await startNamed(["default", "strict"], backend);
  const port = proxy.ports[0]!;
  const strict = { serverName: "strict.test" };
  assert.equal((await sClient(port, { ...strict, version: "1.3" })).sqlstate, "28000");
  assert.ok((await sClient(port, { ...strict, version: "1.3", leaf: client })).ready);
  const old = await sClient(port, { ...strict, version: "1.2", leaf: client });
  assert.match(old.stderr, /alert protocol version/);
  assert.ok((await sClient(port, { version: "1.2" })).ready);
  assert.equal(backend.accepts(), 2);
});

Deno.test("a StartupMessage in clear belongs to the default route, and is refused where there is none", async () => {
  await using backend = await startCountingBackend();
  for (const allowed of [true, false]) {
    const names = ["exact", "default"] as const;
    await using proxy = await startNamed(names, backend, { default: { unsafe_allow_plaintext: allowed } });
    await using raw = await connectRaw(proxy.ports[0]!);
    await raw.send(startupMessage());
    assert.deepEqual(await raw.read(1), bytesOf(allowed ? "R" : "E"));
    raw.end();
    const [line] = await proxy.closed(1);
    assert.equal(line!.route, allowed ? "default" : null);
  }
  await using proxy = await startNamed(["exact"], backend);
  await using raw = await connectRaw(proxy.ports[0]!);
  await raw.send(startupMessage());
  assert.equal((await readError(raw)).message, "TLS is required");
  assert.equal(backend.accepts(), 1);
});

Deno.test("Ctrl-C in psql, which names no server, cancels on the backend of whichever route it was", async () => {
  await using one = await startPlainPostgres();
  await using other = await startPlainPostgres();
  const address = freeAddress();
  await using proxy = await startTestProxy(
    routeOf("exact", address, backendOf(one)),
    routeOf("wildcard", address, backendOf(other)),
  );
  const cases = [[one, "db1.example.com"], [other, "x.example.com"]] as const;
  for (const [i, [server, host]] of cases.entries()) {
    const conninfo = `host=${host} hostaddr=127.0.0.1 port=${
      proxy.ports[0]
    } user=alice dbname=demo sslmode=require`;
    await using session = startPsql(conninfo, { args: ["-c", "SELECT pg_sleep(600)"] });
    const running =
      "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(600)'";
    await until(async () => (await server.query(running)).length === 1, "pg_sleep to run");
    Deno.kill(session.pid, "SIGINT");
    assert.match((await session.exited).stderr, /canceling statement due to user request/);
    const lines = (await proxy.closed(2 * i + 2)).slice(2 * i);
    const cancel = lines.find(({ reason }) => reason === "cancel_forwarded");
    assert.deepEqual([cancel?.route, cancel?.backend], [
      null,
      `127.0.0.1:${one.port}, 127.0.0.1:${other.port}`,
    ]);
  }
});

Deno.test("a CancelRequest in clear goes to the backends of the routes that take one, each once", async () => {
  await using one = await startCountingBackend();
  await using other = await startCountingBackend();
  await using closed = await startCountingBackend();
  const address = freeAddress();
  await using proxy = await startTestProxy(
    routeOf("exact", address, one.backend, { plaintext_cancel: false }),
    routeOf("wildcard", address, other.backend),
    routeOf("strict", address, other.backend, { min_tls_version: "1.2" }),
    routeOf("default", address, closed.backend, { plaintext_cancel: false }),
  );
  const cancel = bytesOf("\0\0\0\x10\x04\xd2\x16\x2e\0\0\x12\x67\xde\xad\xbe\xef");
  await using raw = await connectRaw(proxy.ports[0]!);
  await raw.send(cancel);
  await until(() => other.accepts() === 1, "the CancelRequest");
  assert.deepEqual([one.accepts(), closed.accepts()], [0, 0]);
});

function startNamed(
  names: readonly Name[],
  { backend }: Pick<CountingBackend, "backend">,
  more: Partial<Record<Name, Record<string, unknown>>> = {},
): Promise<TestProxy> {
  const address = freeAddress();
  return startTestProxy(...names.map((name) => routeOf(name, address, backend, more[name])));
}

function routeOf(
  name: Name,
  address: string,
  backend: RouteTables["backend"],
  more: Record<string, unknown> = {},
): RouteTables {
  const strict = name === "strict" ? { min_tls_version: "1.3" } : {};
  const keys = listenerKeys(leaves[name], name === "strict" ? clientCa : undefined);
  const names = NAMES[name].length > 0 ? { server_names: [...NAMES[name]] } : {};
  return { name, listener: { bind_address: address, ...keys, ...names, ...strict, ...more }, backend };
}

function backendOf(server: PostgresServer): CountingBackend["backend"] {
  return { address: `127.0.0.1:${server.port}`, tls_enabled: false };
}

function peerName(socket: TLSSocket): string {
  const { raw } = socket.getPeerCertificate();
  return new X509Certificate(raw).subject.replace("CN=", "");
}

const DECODE_ERROR = Uint8Array.of(21, 3, 3, 0, 2, 2, 50);
