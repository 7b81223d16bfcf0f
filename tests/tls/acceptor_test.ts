import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { StageError } from "../../src/errors.ts";
import { TlsAcceptor } from "../../src/tls/acceptor.ts";
import { presentedChain } from "../../src/tls/peer.ts";
import { makeCa } from "../support/pki.ts";
import { firstBytes, materialOf, never, type SocketPair, socketPair } from "./tls_support.ts";

const ca = makeCa({ name: "CA" });
const server = materialOf(ca.issue({ name: "localhost", purpose: "server", sans: ["localhost"] }));
const ASK = { minVersion: "1.2", requestCertificate: true } as const;

Deno.test("accept() gives each of many concurrent handshakes its own socket", async () => {
  const acceptor = new TlsAcceptor(server, ASK);
  await using pairs = new AsyncDisposableStack();
  await Promise.all(Array.from({ length: 40 }, async (_, i) => {
    const pair = pairs.use(await socketPair());
    // Every third one fails, in the midst of the others.
    if (i % 3 === 0) pair.client.write("garbage, not a ClientHello\n");
    else if (i % 3 === 1) startClient(pair, { servername: `client-${i}.example` });
    else startClient(pair, { servername: `client-${i}.example`, maxVersion: "TLSv1.2" });
    const accepted = acceptor.accept(pair.server, never());
    if (i % 3 === 0) return await assert.rejects(accepted, isReason("handshake_failed"));
    const secured = await accepted;
    assert.equal(secured.remotePort, pair.client.localPort);
    assert.equal((secured as TLSSocket & { servername: string }).servername, `client-${i}.example`);
    assert.equal(secured.getProtocol(), i % 3 === 1 ? "TLSv1.3" : "TLSv1.2");
    secured.write(`you are ${i}`);
  }));
});

Deno.test("accept() selects ALPN postgresql, and nothing when nothing is offered", async () => {
  const acceptor = new TlsAcceptor(server, ASK);
  for (const [offered, selected] of [[["postgresql"], "postgresql"], [undefined, false]] as const) {
    await using pair = await socketPair();
    startClient(pair, offered === undefined ? {} : { ALPNProtocols: [...offered] });
    assert.equal((await acceptor.accept(pair.server, never())).alpnProtocol, selected);
  }
});

Deno.test("accept() rejects a client that offers only other ALPN protocols", async () => {
  await using pair = await socketPair();
  startClient(pair, { ALPNProtocols: ["h2"] });
  const accepted = new TlsAcceptor(server, ASK).accept(pair.server, never());
  await assert.rejects(accepted, isReason("handshake_failed"));
});

Deno.test("accept() rejects TLS 1.2 when minVersion is 1.3", async () => {
  await using pair = await socketPair();
  startClient(pair, { maxVersion: "TLSv1.2" });
  const acceptor = new TlsAcceptor(server, { ...ASK, minVersion: "1.3" });
  await assert.rejects(acceptor.accept(pair.server, never()), isReason("handshake_failed"));
});

Deno.test("accept() asks for a certificate only if told so", async () => {
  const alice = ca.issue({ name: "alice", purpose: "client" });
  for (const requestCertificate of [true, false]) {
    await using pair = await socketPair();
    startClient(pair, { cert: alice.chainPem, key: alice.keyPem });
    const acceptor = new TlsAcceptor(server, { ...ASK, requestCertificate });
    const secured = await acceptor.accept(pair.server, never());
    assert.equal(presentedChain(secured).length, requestCertificate ? 1 : 0);
  }
});

Deno.test("accept() reads the ClientHello from bytes that were given back", async () => {
  await using pair = await socketPair();
  startClient(pair);
  const hello = await firstBytes(pair.server);
  pair.server.unshift(hello);
  await new TlsAcceptor(server, ASK).accept(pair.server, never());
});

Deno.test("accept() rejects garbage with handshake_failed and the cause", async () => {
  for (const garbage of ["GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x00\x05hello", "\0".repeat(100)]) {
    await using pair = await socketPair();
    pair.client.write(garbage, "latin1");
    await assert.rejects(new TlsAcceptor(server, ASK).accept(pair.server, never()), (error) => {
      assert.ok(error instanceof StageError && error.reason === "handshake_failed");
      assert.match(error.message, /^Could not complete the TLS handshake: /);
      return error.cause instanceof Error;
    });
  }
});

Deno.test("accept() rejects when the client leaves before or in the middle of its ClientHello", async () => {
  const leave: Record<string, (client: Socket) => void> = {
    "end": (client) => void client.end(),
    "end after a part": (client) => void client.end("\x16\x03\x01\x02\x00\x01", "latin1"),
    "destroy": (client) => void client.destroy(),
    "reset": (client) => void client.resetAndDestroy(),
  };
  for (const [how, leaves] of Object.entries(leave)) {
    await using pair = await socketPair();
    const accepted = new TlsAcceptor(server, ASK).accept(pair.server, never());
    leaves(pair.client);
    await assert.rejects(accepted, isReason("handshake_failed"), how);
  }
});

Deno.test("accept() rejects a socket that is gone already", async () => {
  await using pair = await socketPair();
  pair.server.destroy();
  const accepted = new TlsAcceptor(server, ASK).accept(pair.server, never());
  await assert.rejects(accepted, isReason("handshake_failed"));
});

Deno.test("accept() rejects with the signal's reason, before and during the handshake", async () => {
  for (const isEarly of [true, false]) {
    await using pair = await socketPair();
    const stop = new AbortController();
    const reason = new StageError("startup_timeout", "too late");
    if (isEarly) stop.abort(reason);
    const accepted = new TlsAcceptor(server, ASK).accept(pair.server, stop.signal);
    if (!isEarly) stop.abort(reason);
    pair.client.destroy();
    await assert.rejects(accepted, (error) => error === reason);
  }
});

Deno.test("accept() takes a handshake that completes after it was given up without a word", async () => {
  await using pair = await socketPair();
  const stop = new AbortController();
  const accepted = new TlsAcceptor(server, ASK).accept(pair.server, stop.signal);
  stop.abort(new Error("given up"));
  await assert.rejects(accepted, /given up/);
  const client = startClient(pair);
  await new Promise<void>((resolve) => client.once("secureConnect", resolve));
});

Deno.test("accept() keeps the connection half-open: a client that has ended still reads", async () => {
  await using pair = await socketPair();
  const client = startClient(pair, { allowHalfOpen: true } as ConnectionOptions);
  const secured = await new TlsAcceptor(server, ASK).accept(pair.server, never());
  client.end();
  secured.resume();
  await new Promise<void>((resolve) => secured.once("end", resolve));
  secured.write("late");
  assert.equal((await firstBytes(client)).toString(), "late");
});

function startClient(pair: SocketPair, options: ConnectionOptions = {}): TLSSocket {
  const client = connect({
    socket: pair.client,
    servername: "localhost",
    rejectUnauthorized: false,
    ...options,
  });
  client.on("error", () => {});
  return client;
}

function isReason(reason: string): (error: unknown) => boolean {
  return (error) => error instanceof StageError && error.reason === reason;
}
