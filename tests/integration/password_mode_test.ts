/** auth.mode = "password": the password inside the client's TLS, a proof of it to the backend. */
import assert from "node:assert/strict";
import pg from "pg";
import { encodeAuthentication } from "../../src/wire/authentication.ts";
import { encodeMessage } from "../../src/wire/message.ts";
import { decodeSaslInitialResponse, encodePasswordMessage } from "../../src/wire/password_message.ts";
import { grantTls, readPacket, startFakeBackend } from "../support/fake_backend.ts";
import type { PeerStream } from "../support/peer_stream.ts";
import { makeCa } from "../support/pki.ts";
import { startPlainPostgres, startTlsPostgres } from "../support/postgres.ts";
import { isEvent, listenerKeys, startTestProxy, type TestProxy } from "../support/proxy.ts";
import { psql, psql18 } from "../support/psql.ts";
import { connectRawTls } from "../support/raw_client.ts";
import { readAuthentication, readMessage, readRefusal, startupOf } from "../support/scram_client.ts";
import { bytesOf } from "../wire/bytes.ts";

const AUTH = { mode: "password" };
const LONG = "y".repeat(4_000);
/** What SASLprep changes; what it forbids (a tag character); bytes that are no UTF-8 cannot be in a UTF-8 database. */
const NON_ASCII = "ｐäß\u00adwö\u3000rd ﬁ";
const FORBIDDEN = "tag\u{e0041}";
const keyTypes = ["P-256", "RSA-2048", "Ed25519"] as const;

Deno.test("A password gets in through every kind of certificate, bound to the backend's where that can be", async (t) => {
  for (const keyType of keyTypes) {
    await t.step(keyType, async () => {
      const ca = makeCa({ name: `${keyType} CA`, keyType });
      const leaf = ca.issue({
        name: "localhost",
        purpose: "server",
        sans: ["localhost", "127.0.0.1"],
        keyType,
      });
      await using server = await startTlsPostgres({ method: "scram-sha-256", ca, certificate: leaf });
      for (const [user, password] of [["long", LONG], ["uni", NON_ASCII], ["tagged", FORBIDDEN]]) {
        await server.query(`CREATE ROLE ${user} LOGIN PASSWORD '${password}'`);
      }
      const backend = { address: `127.0.0.1:${server.port}`, root_ca: ca.certPem };
      await using proxy = await startTestProxy({ listener: listenerKeys(leaf), backend, auth: AUTH });
      for (const run of [psql, psql18]) {
        for (
          const [user, password] of [["alice", "secret"], ["long", LONG], ["uni", NON_ASCII], [
            "tagged",
            FORBIDDEN,
          ]]
        ) {
          const { stdout, stderr } = await run(`${address(proxy)} user=${user}`, login(password!));
          assert.equal(stdout.trim(), user, stderr);
        }
        for (const [user, password] of [["alice", "wrong"], ["nobody", "secret"], ["uni", "password"]]) {
          const { stderr } = await run(`${address(proxy)} user=${user}`, login(password!));
          assert.match(stderr, new RegExp(`FATAL: {2}password authentication failed for user "${user}"`));
        }
        const bound = await run(`${address(proxy)} user=alice channel_binding=require`, login("secret"));
        assert.match(
          bound.stderr,
          /channel binding required but not supported by server's authentication request/,
        );
      }
      for (const { client_binding, backend_binding } of proxy.events.filter(isEvent("session.opened"))) {
        assert.deepEqual([client_binding, backend_binding], [false, keyType !== "Ed25519"]);
      }
      const log = JSON.stringify(proxy.events);
      for (const secret of ["secret", LONG, NON_ASCII, FORBIDDEN, "wrong"]) assert.ok(!log.includes(secret));
    });
  }
});

Deno.test("To an md5 backend in TLS, to SCRAM in plaintext, and to a backend that trusts", async (t) => {
  const ca = makeCa({ name: "proxy CA" });
  const leaf = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost", "127.0.0.1"] });
  await t.step("md5", async () => {
    await using server = await startTlsPostgres({ method: "md5" });
    const backend = { address: `127.0.0.1:${server.port}`, root_ca: server.ca.certPem };
    await using proxy = await startTestProxy({ listener: listenerKeys(leaf), backend, auth: AUTH });
    assert.equal((await psql(`${address(proxy)} user=alice`, login("secret"))).stdout.trim(), "alice");
    assert.match(
      (await psql(`${address(proxy)} user=alice`, login("wrong"))).stderr,
      /password authentication failed/,
    );
    const client = new pg.Client({
      host: "localhost",
      port: proxy.ports[0]!,
      user: "alice",
      password: "secret",
      database: "demo",
      ssl: { ca: ca.certPem },
    });
    await client.connect();
    await client.end();
  });
  await t.step("SCRAM in plaintext", async () => {
    await using server = await startPlainPostgres({ method: "scram-sha-256" });
    const backend = { address: `127.0.0.1:${server.port}`, tls_enabled: false };
    await using proxy = await startTestProxy({ listener: listenerKeys(leaf), backend, auth: AUTH });
    assert.equal((await psql(`${address(proxy)} user=alice`, login("secret"))).stdout.trim(), "alice");
    assert.match(
      (await psql(`${address(proxy)} user=alice`, login("wrong"))).stderr,
      /password authentication failed/,
    );
  });
  await t.step("trust asks for nothing", async () => {
    await using server = await startTlsPostgres();
    const backend = { address: `127.0.0.1:${server.port}`, root_ca: server.ca.certPem };
    await using proxy = await startTestProxy({ listener: listenerKeys(leaf), backend, auth: AUTH });
    assert.equal(
      (await psql(`${address(proxy)} user=alice`, { args: ["-c", "SELECT current_user"] })).stdout.trim(),
      "alice",
    );
  });
});

Deno.test("A backend that is after the password does not get it", async (t) => {
  const ca = makeCa({ name: "both" });
  const leaf = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost", "127.0.0.1"] });
  const offer = encodeAuthentication({ kind: "sasl", mechanisms: ["SCRAM-SHA-256"] });
  const challenge = (iterations: string) => async (peer: PeerStream) => {
    await peer.send(offer);
    const { data } = decodeSaslInitialResponse(await readMessage(peer));
    const nonce = String.fromCharCode(...data!).replace(/^.*r=/, "");
    const text = `r=${nonce}x,s=AAAA,i=${iterations}`;
    await peer.send(encodeAuthentication({ kind: "sasl_continue", data: bytesOf(text) }));
  };
  const ask = (body: string) => (peer: PeerStream) => peer.send(encodeMessage("R", bytesOf(body)));
  const cases: [
    name: string,
    isTls: boolean,
    isAsked: boolean,
    script: (peer: PeerStream) => Promise<void>,
    says: RegExp,
  ][] = [
    [
      "asks for it in clear inside TLS",
      true,
      false,
      ask("\0\0\0\x03"),
      /a password in clear: expected SCRAM-SHA-256 or md5/,
    ],
    [
      "asks for it in clear",
      false,
      false,
      ask("\0\0\0\x03"),
      /a password in clear: expected SCRAM-SHA-256 on a plaintext leg/,
    ],
    [
      "asks for md5 in plaintext",
      false,
      false,
      ask("\0\0\0\x05salt"),
      /an md5 password: expected SCRAM-SHA-256 on a plaintext leg/,
    ],
    ["asks for one iteration", true, true, challenge("1"), /asks for 1 iterations/],
    [
      "asks for two billion iterations",
      true,
      true,
      challenge("2147483647"),
      /asks for 2147483647 iterations/,
    ],
    ["asks for more than there are", true, true, challenge("2147483648"), /malformed SCRAM message/],
    ["asks for none", true, true, challenge("0"), /malformed SCRAM message/],
  ];
  for (const [name, isTls, isAsked, script, says] of cases) {
    await t.step(name, async () => {
      await using backend = await startFakeBackend(async (tcp) => {
        const peer = isTls ? await grantTls(tcp, leaf) : tcp;
        await readPacket(peer);
        await script(peer);
        assert.equal((await peer.readAll()).length, 0, "an answer reached the backend");
        peer.end();
      });
      const address = {
        address: `127.0.0.1:${backend.port}`,
        ...(isTls ? { root_ca: ca.certPem } : { tls_enabled: false }),
      };
      await using proxy = await startTestProxy({
        listener: listenerKeys(leaf),
        backend: address,
        auth: AUTH,
      });
      await using client = await connectRawTls(proxy.ports[0]!);
      await client.send(startupOf("alice"));
      if (isAsked) {
        assert.deepEqual(await readAuthentication(client), { kind: "cleartext_password" });
        await client.send(encodePasswordMessage(bytesOf("secret")));
      }
      assert.equal((await readRefusal(client)).sqlstate, "28000");
      const { reason, detail } = await proxy.waitFor(isEvent("authentication.failed"));
      assert.equal(reason, "backend_login_failed");
      assert.match(detail, says);
    });
  }
});

Deno.test("A client that answers with something else than a password is told 08P01, without one 28P01", async () => {
  const ca = makeCa({ name: "both" });
  const leaf = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost", "127.0.0.1"] });
  await using backend = await startFakeBackend(async (tcp) => {
    const peer = await grantTls(tcp, leaf);
    await readPacket(peer);
    await peer.send(encodeAuthentication({ kind: "sasl", mechanisms: ["SCRAM-SHA-256"] }));
    assert.equal((await peer.readAll()).length, 0);
    peer.end();
  });
  const route = {
    listener: listenerKeys(leaf),
    backend: { address: `127.0.0.1:${backend.port}`, root_ca: ca.certPem },
  };
  await using proxy = await startTestProxy({ ...route, auth: AUTH });
  const cases: [answer: Uint8Array, sqlstate: string][] = [
    [encodeMessage("Q", bytesOf("SELECT 1\0")), "08P01"],
    [encodeMessage("p", bytesOf("no end")), "08P01"],
    [encodeMessage("p", bytesOf("two\0ends\0")), "08P01"],
    [encodeMessage("p", new Uint8Array(65_536)), "08P01"],
    [encodePasswordMessage(bytesOf("")), "28P01"],
  ];
  for (const [answer, sqlstate] of cases) {
    await using client = await connectRawTls(proxy.ports[0]!);
    await client.send(startupOf("alice"));
    await readAuthentication(client);
    await client.send(answer);
    assert.equal((await readRefusal(client)).sqlstate, sqlstate);
  }
});

function address(proxy: TestProxy): string {
  return `host=127.0.0.1 port=${proxy.ports[0]} dbname=demo sslmode=require`;
}

function login(password: string) {
  return { args: ["-c", "SELECT current_user"], env: { PGPASSWORD: password } };
}
