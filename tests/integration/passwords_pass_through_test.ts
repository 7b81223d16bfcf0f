/** auth.mode = "passthrough", cell by cell: what psql with a password sees for every pair of legs. */
import assert from "node:assert/strict";
import { decodeErrorResponse } from "../../src/wire/error_response.ts";
import { bytesOf } from "../wire/bytes.ts";
import { grantTls, readPacket, READY, startFakeBackend } from "../support/fake_backend.ts";
import { makeCa } from "../support/pki.ts";
import { startPlainPostgres, startTlsPostgres } from "../support/postgres.ts";
import { isEvent, listenerKeys, type RouteTables, startTestProxy } from "../support/proxy.ts";
import { psql, psql18 } from "../support/psql.ts";
import { connectRaw, connectRawTls, readError, startupMessage } from "../support/raw_client.ts";
import { ca as sharedCa, leaf as sharedLeaf, routeTo } from "../support/two_legs.ts";

const ca = makeCa({ name: "proxy CA" });
const leaf = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost", "127.0.0.1"] });
const BINDINGS = ["prefer", "require", "disable"] as const;
const ADVICE =
  /FATAL: {2}SCRAM channel binding cannot work here.*\nHINT: .*one certificate.*channel_binding=disable/;
const NOT_OFFERED = /channel binding (is )?required.*(did not|SSL not in use|not supported)/;

/** What psql prints for channel_binding = prefer, require, disable; `ok` = the session's user. */
type Row = Readonly<Record<(typeof BINDINGS)[number], "ok" | RegExp>>;

Deno.test("A password gets through wherever SCRAM allows it, and where it cannot the client learns the remedy", async (t) => {
  await using tls = await startTlsPostgres({ method: "scram-sha-256" });
  await using plain = await startPlainPostgres({ method: "scram-sha-256" });
  const own = listenerKeys(leaf);
  const toTls = { address: `127.0.0.1:${tls.port}`, root_ca: tls.ca.certPem };
  const toPlain = { address: `127.0.0.1:${plain.port}`, tls_enabled: false };
  const rows: [name: string, sslmode: string, route: RouteTables, row: Row][] = [
    ["TLS to TLS", "require", { listener: own, backend: toTls }, {
      prefer: ADVICE,
      require: ADVICE,
      disable: "ok",
    }],
    ["TLS to TLS, one certificate", "require", { listener: listenerKeys(tls.certificate), backend: toTls }, {
      prefer: "ok",
      require: "ok",
      disable: "ok",
    }],
    ["TLS to plaintext", "require", { listener: own, backend: toPlain }, {
      prefer: "ok",
      require: NOT_OFFERED,
      disable: "ok",
    }],
    ["plaintext to TLS", "disable", { listener: { tls_enabled: false }, backend: toTls }, {
      prefer: "ok",
      require: NOT_OFFERED,
      disable: "ok",
    }],
    ["plaintext to plaintext", "disable", { listener: { tls_enabled: false }, backend: toPlain }, {
      prefer: "ok",
      require: NOT_OFFERED,
      disable: "ok",
    }],
  ];
  for (const [name, sslmode, route, row] of rows) {
    await t.step(name, async () => {
      await using proxy = await startTestProxy(route);
      const connection = `host=127.0.0.1 port=${proxy.ports[0]} user=alice dbname=demo sslmode=${sslmode}`;
      for (const run of [psql, psql18]) {
        for (const binding of BINDINGS) {
          const args = ["-c", "SELECT current_user"];
          const login = (password: string) =>
            run(`${connection} channel_binding=${binding}`, { args, env: { PGPASSWORD: password } });
          const { stdout, stderr } = await login("secret");
          const expected = row[binding];
          if (expected === "ok") assert.equal(stdout.trim(), "alice", `${binding}: ${stderr}`);
          else assert.match(stderr, expected, binding);
          if (expected !== "ok") continue;
          assert.match((await login("wrong")).stderr, /password authentication failed for user "alice"/);
        }
      }
    });
  }
});

Deno.test("The conflict is a warning once a route, and a refusal in every closing line", async () => {
  await using tls = await startTlsPostgres({ method: "scram-sha-256" });
  const backend = { address: `127.0.0.1:${tls.port}`, root_ca: tls.ca.certPem };
  await using proxy = await startTestProxy({ name: "orders", listener: listenerKeys(leaf), backend });
  for (let i = 0; i < 2; i++) {
    await psql(`host=127.0.0.1 port=${proxy.ports[0]} user=alice dbname=demo sslmode=require`, {
      env: { PGPASSWORD: "secret" },
    });
  }
  const closed = await proxy.closed(2);
  assert.deepEqual(closed.map(({ reason }) => reason), [
    "channel_binding_conflict",
    "channel_binding_conflict",
  ]);
  const warnings = proxy.events.filter(isEvent("config.warning"));
  assert.equal(warnings.length, 1);
  assert.equal(warnings[0]!.problem.route, "orders");
  assert.match(warnings[0]!.problem.message, /binds its login to the listener's certificate/);
});

Deno.test("What the backend says before it asks for a password reaches the client byte for byte", async (t) => {
  const notice = bytesOf("N\0\0\0\x12SNOTICE\0Mhello\0\0");
  const version = bytesOf("v\0\0\0\x0c\0\0\0\0\0\0\0\0");
  const tooMany = bytesOf("E\0\0\0\x24SFATAL\0VFATAL\0C53300\0Mtoo many\0\0", 0).subarray(0, 37);
  const cases: [name: string, said: Uint8Array][] = [
    ["NegotiateProtocolVersion, a notice, and trust", bytesOf(version, notice, "R\0\0\0\x08\0\0\0\0")],
    ["an error", tooMany],
    ["a request for a cleartext password", bytesOf("R\0\0\0\x08\0\0\0\x03")],
    ["an offer without channel binding", bytesOf("R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0")],
    ["an offer with channel binding", bytesOf("R\0\0\0\x2a\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")],
    ["a message no server sends", bytesOf("?\0\0\0\x06ab", "R\0\0\0\x08\0\0\0\0")],
    ["an error of protocol 2", bytesOf("Ecould not fork new process\n\0")],
    ["half a message", bytesOf("R\0\0\0\x08\0\0")],
    ["a length that is impossible", bytesOf("R\0\0\0\x01abc")],
  ];
  for (const [name, said] of cases) {
    await t.step(name, async () => {
      await using backend = await startFakeBackend(async (tcp) => {
        const peer = await grantTls(tcp, sharedLeaf);
        assert.deepEqual(await readPacket(peer), startupMessage());
        for (const byte of said) await peer.send(Uint8Array.of(byte));
        peer.end();
      });
      const route = routeTo(backend.port, "TLS", { listener: listenerKeys(leaf) });
      await using proxy = await startTestProxy(route);
      await using client = await connectRawTls(proxy.ports[0]!);
      await client.send(startupMessage());
      assert.deepEqual(await client.readAll(), said);
      client.end();
      assert.equal((await proxy.closed(1))[0]!.reason, "backend_closed");
    });
  }
});

Deno.test("A client that answers with anything but a bound login is passed on byte for byte", async (t) => {
  const choices: [name: string, bytes: Uint8Array][] = [
    ["SCRAM-SHA-256", bytesOf("p\0\0\0\x1bSCRAM-SHA-256\0\0\0\0\x05n,,r=")],
    ["garbage", bytesOf("p\0\0\0\x06\xff\xfe")],
    ["another message", bytesOf("Q\0\0\0\x0dSELECT 1\0")],
  ];
  for (const [name, choice] of choices) {
    await t.step(name, async () => {
      await using backend = await startFakeBackend(async (tcp) => {
        const peer = await grantTls(tcp, sharedLeaf);
        await readPacket(peer);
        await peer.send(OFFER);
        assert.deepEqual(await peer.read(choice.length), choice);
        await peer.send(READY);
      });
      const route = routeTo(backend.port, "TLS", { listener: listenerKeys(leaf) });
      await using proxy = await startTestProxy(route);
      await using client = await connectRawTls(proxy.ports[0]!);
      await client.send(startupMessage());
      await client.read(OFFER.length);
      for (const byte of choice) await client.send(Uint8Array.of(byte));
      assert.deepEqual(await client.read(READY.length), READY);
    });
  }
});

Deno.test("Nothing of a bound login reaches the backend", async () => {
  await using backend = await startFakeBackend(async (tcp) => {
    const peer = await grantTls(tcp, sharedLeaf);
    await readPacket(peer);
    await peer.send(OFFER);
    assert.equal((await peer.readAll()).length, 0);
    peer.end();
  });
  await using proxy = await startTestProxy(routeTo(backend.port, "TLS", { listener: listenerKeys(leaf) }));
  await using client = await connectRawTls(proxy.ports[0]!);
  await client.send(startupMessage());
  await client.read(OFFER.length);
  await client.send(bytesOf("p\0\0\0\x1eSCRAM-SHA-256-PLUS\0\0\0\0\x03p=t"));
  const { sqlstate, hint } = await readError(client);
  assert.deepEqual([sqlstate, /channel_binding=disable/.test(hint!)], ["28000", true]);
});

Deno.test("A login ends when either side leaves before it is over", async (t) => {
  for (const waitsFor of ["the backend", "the client"] as const) {
    for (const leaver of ["client", "backend"] as const) {
      await t.step(`while pgtls waits for ${waitsFor}, the ${leaver} leaves`, async () => {
        const leave = Promise.withResolvers<void>();
        await using backend = await startFakeBackend(async (tcp) => {
          const peer = await grantTls(tcp, sharedLeaf);
          await readPacket(peer);
          if (waitsFor === "the client") await peer.send(OFFER);
          await leave.promise;
          if (leaver === "backend") return peer.reset();
          await peer.closed();
        });
        await using proxy = await startTestProxy(
          routeTo(backend.port, "TLS", { listener: listenerKeys(leaf) }),
        );
        await using client = await connectRawTls(proxy.ports[0]!);
        await client.send(startupMessage());
        if (waitsFor === "the client") await client.read(OFFER.length);
        await proxy.waitFor(isEvent("backend.connected"));
        leave.resolve();
        if (leaver === "client") client.reset();
        else await client.readAll();
        client.end();
        const [closed] = await proxy.closed(1);
        assert.match(closed!.reason, new RegExp(`^${leaver}_(closed|lost)$`));
      });
    }
  }
});

Deno.test("A client in clear is not offered channel binding, whatever else it is offered", async () => {
  await using backend = await startFakeBackend(async (tcp) => {
    const peer = await grantTls(tcp, sharedLeaf);
    await readPacket(peer);
    await peer.send(OFFER);
    assert.deepEqual(await peer.read(3), bytesOf("abc"));
    await peer.send(READY);
  });
  await using proxy = await startTestProxy({
    listener: { tls_enabled: false },
    backend: { address: `127.0.0.1:${backend.port}`, root_ca: sharedCa.certPem },
  });
  await using client = await connectRaw(proxy.ports[0]!);
  await client.send(startupMessage());
  const stripped = bytesOf("R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0");
  assert.deepEqual(await client.read(stripped.length), stripped);
  await client.send(bytesOf("abc"));
  assert.deepEqual(await client.read(READY.length), READY);
});

Deno.test("A drain ends a login that waits, with 57P03", async () => {
  await using backend = await startFakeBackend(async (tcp) => {
    const peer = await grantTls(tcp, sharedLeaf);
    await readPacket(peer);
    await peer.send(OFFER);
    await peer.closed();
  });
  await using proxy = await startTestProxy(routeTo(backend.port, "TLS", { listener: listenerKeys(leaf) }));
  await using client = await connectRawTls(proxy.ports[0]!);
  await client.send(startupMessage());
  await client.read(OFFER.length);
  const drained = proxy.drain(0);
  const bytes = await client.readAll();
  client.end();
  assert.equal(decodeErrorResponse(bytes).sqlstate, "57P03");
  await drained;
});

const OFFER = bytesOf("R\0\0\0\x2a\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0");
