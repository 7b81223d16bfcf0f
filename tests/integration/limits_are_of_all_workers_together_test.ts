/** An attacker gains nothing by coming to several workers at once, and clients who do nothing wrong lose nothing. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { encodeAuthentication } from "../../src/wire/authentication.ts";
import { encodeErrorResponse } from "../../src/wire/error_response.ts";
import { encodePasswordMessage } from "../../src/wire/password_message.ts";
import { until } from "../support/closing_lines.ts";
import { grantTls, readPacket, startFakeBackend, WELCOME } from "../support/fake_backend.ts";
import { PeerStream } from "../support/peer_stream.ts";
import { startTlsPostgres } from "../support/postgres.ts";
import { listenerKeys, type RouteTables } from "../support/proxy.ts";
import {
  type LogLine,
  type ProxyProcess,
  startMortalProxy,
  startProxyProcess,
} from "../support/proxy_process.ts";
import { connectRaw, connectRawTls } from "../support/raw_client.ts";
import { formatVerifier, makeVerifier, userlistOf } from "../support/scram.ts";
import { logIn, readAuthentication, readRefusal, readSuccess, startupOf } from "../support/scram_client.ts";
import { ca, leaf, routeTo } from "../support/two_legs.ts";
import { bytesOf, CANCEL_REQUEST, SSL_REQUEST } from "../wire/bytes.ts";

/** So many connections all come to one of two workers less than once in 10^17 runs. */
const MANY = 60;

Deno.test("wrong passwords sent all at once get ten answers, in password mode", async () => {
  let answers = 0;
  await using backend = await startAsking(async (peer) => {
    answers++;
    // Time for all of them to be there before one is refused.
    await new Promise((resolve) => setTimeout(resolve, 500));
    await refuse(peer);
  });
  await using proxy = await startProxyProcess({}, passwordRoute(backend.port));
  const start = performance.now();
  await Promise.all(Array.from({ length: MANY }, (_, i) => guess(proxy, `guess ${i}`)));
  const allowed = 10 + (performance.now() - start) / 6_000;
  assert.ok(answers >= 10 && answers <= allowed, `${answers} of ${MANY} guesses came to the backend`);
  const reasons = (await proxy.waitFor("authentication.failed", MANY)).map(({ reason }) => reason);
  assert.equal(reasons.filter((reason) => reason === "auth_failed").length, answers);
  assert.equal(reasons.filter((reason) => reason === "auth_limited").length, MANY - answers);
});

Deno.test("wrong passwords sent all at once get ten answers, in scram mode", async () => {
  await using backend = await startFakeBackend(async (tcp) => {
    const peer = await grantTls(tcp, leaf);
    await readPacket(peer);
    await peer.send(encodeAuthentication({ kind: "sasl", mechanisms: ["SCRAM-SHA-256"] }));
  });
  const auth = { mode: "scram", auth_file: `"alice" "${formatVerifier(await makeVerifier("secret"))}"\n\n` };
  await using proxy = await startProxyProcess({}, { ...passwordRoute(backend.port), auth });
  const start = performance.now();
  await Promise.all(Array.from({ length: MANY }, async (_, i) => {
    await using client = await connectRawTls(proxy.port("route0"));
    // Later ones are turned away before they are asked.
    await logIn(client, { password: `guess ${i}` }).then(() => readRefusal(client), () => {});
  }));
  const allowed = 10 + (performance.now() - start) / 6_000;
  const reasons = (await proxy.waitFor("authentication.failed", MANY)).map(({ reason }) => reason);
  const answers = reasons.filter((reason) => reason === "auth_failed").length;
  assert.ok(answers >= 10 && answers <= allowed, `${answers} of ${MANY} guesses were answered`);
});

Deno.test("right passwords sent all at once are all right, in both modes", async () => {
  await using server = await startTlsPostgres({ method: "scram-sha-256" });
  const address = { address: `127.0.0.1:${server.port}`, root_ca: server.ca.certPem };
  const route = { listener: listenerKeys(leaf), backend: address };
  const auth = { mode: "scram", auth_file: await userlistOf(server) };
  await using proxy = await startProxyProcess(
    {},
    { ...route, name: "scram", auth },
    { ...route, name: "password", auth: { mode: "password" } },
  );
  await Promise.all(Array.from({ length: 30 }, async () => {
    await using client = await connectRawTls(proxy.port("scram"));
    await readSuccess(client, await logIn(client, { password: "secret" }));
  }));
  await Promise.all(Array.from({ length: 30 }, async () => {
    await using client = await connectRawTls(proxy.port("password"));
    await sendPassword(client, "secret");
    assert.deepEqual(await readAuthentication(client), { kind: "ok" });
  }));
});

Deno.test("a pool that opens its sessions at once with one password waits for none of them, in password mode", async () => {
  const asked = Promise.withResolvers<void>();
  let waiting = 0;
  await using backend = await startAsking(async (peer) => {
    if (++waiting === MANY) asked.resolve();
    // Whoever had to wait for another one's answer would wait forever.
    await asked.promise;
    await peer.send(WELCOME);
  });
  await using proxy = await startProxyProcess({}, passwordRoute(backend.port));
  await Promise.all(Array.from({ length: MANY }, async () => {
    await using client = await connectRawTls(proxy.port("route0"));
    await sendPassword(client, "secret");
    assert.deepEqual(await client.read(WELCOME.length), WELCOME);
  }));
});

Deno.test("clients that leave before a slow backend has answered count as what it says then", async () => {
  let isRight = true;
  const answers: (() => void)[] = [];
  await using backend = await startAsking(async (peer) => {
    const answer = isRight ? () => peer.send(WELCOME) : () => refuse(peer);
    await new Promise<void>((resolve) => answers.push(resolve));
    await answer();
    peer.end();
  });
  await using proxy = await startProxyProcess({}, passwordRoute(backend.port));
  const leave = async (password: string, count: number) => {
    for (let i = 0; i < count; i++) {
      await using client = await connectRawTls(proxy.port("route0"));
      await sendPassword(client, `${password} ${i}`);
      await until(() => answers.length === i + 1, "the password to be with the backend");
    }
    for (const answer of answers.splice(0)) answer();
    await proxy.waitFor("connection.closed", closed += count);
  };
  let closed = 0;
  await leave("right", 10);
  isRight = false;
  await leave("wrong", 10);
  await using client = await connectRawTls(proxy.port("route0"));
  await client.send(startupOf("alice"));
  assert.equal((await readRefusal(client)).sqlstate, "28P01");
  const [{ reason }] = (await proxy.waitFor("connection.closed", closed + 1)).slice(-1) as [LogLine];
  assert.equal(reason, "auth_limited");
});

Deno.test("what a worker that has ended was asked is not held against the next clients", async () => {
  let isSilent = true;
  const held = new Set<PeerStream>();
  await using backend = await startAsking(async (peer) => {
    if (!isSilent) return await peer.send(WELCOME);
    held.add(peer);
    await peer.closed();
  });
  await using proxy = await startMortalProxy(passwordRoute(backend.port));
  await using stack = new AsyncDisposableStack();
  for (let i = 0; i < MANY; i++) {
    const client = stack.use(await connectRawTls(proxy.port("route0")));
    await sendPassword(client, `guess ${i}`);
  }
  await until(() => held.size === 10, "ten of them to be under way");
  isSilent = false;
  for (const worker of [0, 1]) {
    await proxy.process.write(`${worker} exit`);
    await proxy.waitFor("worker.started", worker + 1);
  }
  await using client = await connectRawTls(proxy.port("route0"));
  await sendPassword(client, "secret");
  assert.deepEqual(await client.read(WELCOME.length), WELCOME);
});

Deno.test("CancelRequests of one network get its rate once, whichever workers they come to", async () => {
  await using backend = await startFakeBackend((peer) => Promise.resolve(peer.end()));
  await using proxy = await startProxyProcess({}, routeTo(backend.port, "clear"));
  const start = performance.now();
  for (let i = 0; i < 50; i++) await Promise.all([1, 2, 3, 4, 5, 6].map(() => cancel(proxy)));
  const reasons = (await proxy.waitFor("connection.closed", 300)).map(({ reason }) => reason);
  const forwarded = reasons.filter((reason) => reason === "cancel_forwarded").length;
  const allowed = 100 + (performance.now() - start) / 50;
  assert.ok(forwarded >= 100 && forwarded <= allowed, `${forwarded} forwarded, expected ${allowed} at most`);
  assert.equal(backend.accepted, forwarded);
});

Deno.test("512 silent clients may be in their start-up, whichever workers they come to", async () => {
  await using backend = await startFakeBackend(() => Promise.resolve());
  const listener = { startup_timeout: "60s" };
  await using proxy = await startProxyProcess({}, routeTo(backend.port, "clear", { listener }));
  await using stack = new AsyncDisposableStack();
  for (let i = 0; i < 700; i++) {
    const client = stack.use(await connectRaw(proxy.port("route0")));
    await client.send(SSL_REQUEST);
  }
  // There are files enough: one worker finding out how many does not make the other one turn anybody away.
  assert.deepEqual(proxy.lines("connection.refused"), []);
  const closed = await proxy.waitFor("connection.closed", 700 - 512);
  assert.ok(closed.every(({ detail }) => /Gave way to others after/.test(String(detail))));
  assert.equal(closed.length, 700 - 512);
  // To either worker: those who fall silent give way to whoever comes from somewhere else.
  for (let i = 0; i < 6; i++) {
    const other = stack.use(await connectFrom("127.0.0.2", proxy.port("route0")));
    await other.send(SSL_REQUEST);
    assert.equal((await other.read(1))[0], "S".charCodeAt(0));
  }
});

function connectFrom(localAddress: string, port: number): Promise<PeerStream> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, localAddress, allowHalfOpen: true });
    socket.once("error", reject);
    socket.once("connect", () => resolve(new PeerStream(socket)));
  });
}

function passwordRoute(port: number): RouteTables {
  const backend = { address: `127.0.0.1:${port}`, root_ca: ca.certPem };
  return { listener: listenerKeys(leaf), backend, auth: { mode: "password" } };
}

/** A backend that asks for md5, and does with whoever has answered what the test says. */
function startAsking(answer: (peer: PeerStream) => Promise<void>) {
  return startFakeBackend(async (tcp) => {
    const peer = await grantTls(tcp, leaf);
    await readPacket(peer);
    await peer.send(encodeAuthentication({ kind: "md5_password", salt: bytesOf("salt") }));
    if (await peer.readSome() !== null) await answer(peer);
  });
}

async function refuse(peer: PeerStream): Promise<void> {
  const message = "password authentication failed";
  await peer.send(encodeErrorResponse({ severity: "FATAL", sqlstate: "28P01", message }));
  peer.end();
}

async function guess(proxy: ProxyProcess, password: string): Promise<void> {
  await using client = await connectRawTls(proxy.port("route0"));
  await client.send(startupOf("alice"));
  // Later ones are turned away before they are asked.
  const asked = await readAuthentication(client).catch(() => null);
  if (asked === null) return;
  await client.send(encodePasswordMessage(bytesOf(password)));
  assert.equal((await readRefusal(client)).sqlstate, "28P01");
}

async function sendPassword(client: PeerStream, password: string): Promise<void> {
  await client.send(startupOf("alice"));
  assert.equal((await readAuthentication(client)).kind, "cleartext_password");
  await client.send(encodePasswordMessage(bytesOf(password)));
}

async function cancel(proxy: ProxyProcess): Promise<void> {
  await using client = await connectRaw(proxy.port("route0"));
  await client.send(CANCEL_REQUEST);
  await client.closed();
}
