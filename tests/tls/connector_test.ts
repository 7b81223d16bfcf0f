import assert from "node:assert/strict";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { StageError } from "../../src/errors.ts";
import { type AcceptorOptions, TlsAcceptor } from "../../src/tls/acceptor.ts";
import { type ConnectorOptions, connectTls } from "../../src/tls/connector.ts";
import { presentedChain } from "../../src/tls/peer.ts";
import { makeCa } from "../support/pki.ts";
import { firstBytes, materialOf, never, type SocketPair, socketPair } from "./tls_support.ts";

const ca = makeCa({ name: "CA" });
const server = materialOf(ca.issue({ name: "localhost", purpose: "server", sans: ["localhost"] }));
const pgtls = ca.issue({ name: "pgtls", purpose: "client" });

Deno.test("connectTls() completes a handshake, whoever the server is", async () => {
  await using pair = await socketPair();
  const { secured } = await connectPair(pair);
  assert.equal(secured.getProtocol(), "TLSv1.3");
  assert.deepEqual(presentedChain(secured), [server.leafDer]);
});

Deno.test("connectTls() offers ALPN postgresql", async () => {
  await using pair = await socketPair();
  const { secured, accepted } = await connectPair(pair);
  assert.deepEqual([secured.alpnProtocol, accepted.alpnProtocol], ["postgresql", "postgresql"]);
});

Deno.test("connectTls() sends SNI for a DNS name and none for an IP address", async () => {
  for (
    const [serverName, sent] of [
      ["db.example", "db.example"],
      ["localhost", "localhost"],
      ["127.0.0.1", null],
      ["::1", null],
    ] as const
  ) {
    await using pair = await socketPair();
    const { accepted } = await connectPair(pair, { serverName });
    const { servername } = accepted as TLSSocket & { servername?: string | false | null };
    assert.equal(servername || null, sent, serverName);
  }
});

Deno.test("connectTls() presents pgtls's certificate if asked and if it has one", async () => {
  const own = { certPem: pgtls.chainPem, keyPem: pgtls.keyPem };
  for (
    const [options, requestCertificate, expected] of [
      [own, true, 1],
      [own, false, 0],
      [{}, true, 0],
    ] as const
  ) {
    await using pair = await socketPair();
    const { accepted } = await connectPair(pair, options, { requestCertificate });
    assert.equal(presentedChain(accepted).length, expected);
  }
});

Deno.test("connectTls() takes each of many concurrent handshakes to its own server", async () => {
  await using pairs = new AsyncDisposableStack();
  await Promise.all(Array.from({ length: 20 }, async (_, i) => {
    const pair = pairs.use(await socketPair());
    const { secured, accepted } = await connectPair(pair, { serverName: `db${i}.example` });
    accepted.write(`server ${i}`);
    assert.equal((await firstBytes(secured)).toString(), `server ${i}`);
  }));
});

Deno.test("connectTls() rejects with backend_tls_refused when the server does not do TLS or leaves", async () => {
  const answers: Record<string, (server: Socket) => void> = {
    "garbage": (server) => void server.write("-ERR unknown command\r\n"),
    "a fatal alert": (server) => void server.write("\x15\x03\x03\x00\x02\x02\x28", "latin1"),
    "end": (server) => void server.end(),
    "destroy": (server) => void server.destroy(),
    "reset": (server) => void server.resetAndDestroy(),
  };
  for (const [what, answer] of Object.entries(answers)) {
    await using pair = await socketPair();
    const connected = connectTls(pair.client, optionsWith({}));
    await Promise.all([
      assert.rejects(connected, isReason("backend_tls_refused"), what),
      firstBytes(pair.server).then(() => answer(pair.server)),
    ]);
  }
});

Deno.test("connectTls() rejects with the signal's reason, before and during the handshake", async () => {
  for (const isEarly of [true, false]) {
    await using pair = await socketPair();
    const stop = new AbortController();
    const reason = new StageError("backend_timeout", "too late");
    if (isEarly) stop.abort(reason);
    const connected = connectTls(pair.client, optionsWith({ signal: stop.signal }));
    if (!isEarly) stop.abort(reason);
    pair.server.destroy();
    await assert.rejects(connected, (error) => error === reason);
  }
});

Deno.test("connectTls() keeps an error after the handshake from ending the process", async () => {
  await using pair = await socketPair();
  const { secured, accepted } = await connectPair(pair);
  const closed = new Promise<void>((resolve) => secured.once("close", () => resolve()));
  pair.server.resetAndDestroy();
  accepted.destroy();
  secured.resume();
  secured.destroy(new Error("and another"));
  await closed;
});

/** Completes a handshake between a pair of sockets, pgtls on both ends. */
async function connectPair(
  pair: SocketPair,
  options: Partial<ConnectorOptions> = {},
  asked: Partial<AcceptorOptions> = {},
): Promise<{ secured: TLSSocket; accepted: TLSSocket }> {
  const [accepted, secured] = await Promise.all([
    new TlsAcceptor(server, { minVersion: "1.2", requestCertificate: false, ...asked }).accept(
      pair.server,
      never(),
    ),
    connectTls(pair.client, optionsWith(options)),
  ]);
  accepted.on("error", () => {});
  return { secured, accepted };
}

function optionsWith(options: Partial<ConnectorOptions>): ConnectorOptions {
  return { serverName: "localhost", certPem: null, keyPem: null, signal: never(), ...options };
}

function isReason(reason: string): (error: unknown) => boolean {
  return (error) => error instanceof StageError && error.reason === reason;
}
