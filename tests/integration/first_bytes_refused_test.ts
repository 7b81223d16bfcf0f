/** What no client may begin with: each is refused by name, reaches no backend, and leaves one closing line. */
import assert from "node:assert/strict";
import type { CloseReason } from "../../src/errors.ts";
import { decodeErrorResponse } from "../../src/wire/error_response.ts";
import {
  bytesOf,
  CANCEL_REQUEST,
  GSSENC_REQUEST,
  packetOf,
  SSL_REQUEST,
  STARTUP_MESSAGE,
} from "../wire/bytes.ts";
import { onlyClosingLine } from "../support/closing_lines.ts";
import { startFakeBackend } from "../support/fake_backend.ts";
import { textOf } from "../support/peer_stream.ts";
import { makeCa } from "../support/pki.ts";
import { listenerKeys, startTestProxy, type TestProxy } from "../support/proxy.ts";
import { answerTo, connectRaw, connectRawTls, readError, startupMessage } from "../support/raw_client.ts";

const leaf = makeCa({ name: "proxy CA" }).issue({
  name: "localhost",
  purpose: "server",
  sans: ["localhost"],
});

/** A ClientHello's record header and the beginning of its body. */
const CLIENT_HELLO_START = bytesOf(0x16, 3, 1, 0, 0xc0, 1, 0, 0, 0xbc, 3, 3);

/** Name, bytes, SQLSTATE and message of the ErrorResponse. */
const REFUSED: readonly (readonly [string, Uint8Array, string, RegExp])[] = [
  [
    "SSLRequest with one byte behind it",
    bytesOf(SSL_REQUEST, 0),
    "08P01",
    /unencrypted data after SSLRequest/,
  ],
  [
    "SSLRequest with a ClientHello behind it",
    bytesOf(SSL_REQUEST, CLIENT_HELLO_START),
    "08P01",
    /unencrypted data/,
  ],
  [
    "SSLRequest with a StartupMessage behind it",
    bytesOf(SSL_REQUEST, STARTUP_MESSAGE),
    "08P01",
    /unencrypted data/,
  ],
  [
    "SSLRequest with a CancelRequest behind it",
    bytesOf(SSL_REQUEST, CANCEL_REQUEST),
    "08P01",
    /unencrypted data/,
  ],
  [
    "SSLRequest twice at once",
    bytesOf(SSL_REQUEST, SSL_REQUEST),
    "08P01",
    /unencrypted data after SSLRequest/,
  ],
  [
    "SSLRequest with 10,000 bytes behind it",
    bytesOf(SSL_REQUEST, new Uint8Array(10_000)),
    "08P01",
    /unencrypted|more than/,
  ],
  [
    "SSLRequest with 1 MB behind it",
    bytesOf(SSL_REQUEST, new Uint8Array(1 << 20)),
    "08P01",
    /unencrypted|more than/,
  ],
  [
    "GSSENCRequest with SSLRequest behind it",
    bytesOf(GSSENC_REQUEST, SSL_REQUEST),
    "08P01",
    /after GSSENCRequest/,
  ],
  ["GSSENCRequest with one byte behind it", bytesOf(GSSENC_REQUEST, 0), "08P01", /after GSSENCRequest/],
  ["StartupMessage in clear", STARTUP_MESSAGE, "28000", /^TLS is required$/],
  [
    "StartupMessage in clear with a query behind it",
    bytesOf(STARTUP_MESSAGE, "Q\0\0\0\x05\0"),
    "28000",
    /^TLS is/,
  ],
  ["protocol 2.0", packetOf("\0\x02\0\0", new Uint8Array(288)), "0A000", /protocol/],
  ["protocol 4.0", packetOf("\0\x04\0\0", "user\0alice\0\0"), "0A000", /protocol/],
  ["an unassigned request code", packetOf("\x04\xd2\x16\x31"), "0A000", /protocol/],
  [
    "StartupMessage without user",
    packetOf("\0\x03\0\0", "database\0demo\0\0"),
    "28000",
    /no PostgreSQL user/,
  ],
  ["StartupMessage without terminator", packetOf("\0\x03\0\0", "user\0alice\0"), "08P01", /layout/],
  ["SSLRequest of 9 bytes", bytesOf(0, 0, 0, 9, 0x04, 0xd2, 0x16, 0x2f, 0), "08P01", /length of SSLRequest/],
  [
    "CancelRequest with a key of 3 bytes",
    packetOf("\x04\xd2\x16\x2e", "\0\0\0\x01", "abc"),
    "08P01",
    /length of Cancel/,
  ],
  [
    "CancelRequest with a key of 257 bytes",
    packetOf("\x04\xd2\x16\x2e", "\0\0\0\x01", new Uint8Array(257)),
    "08P01",
    /length of Cancel/,
  ],
  ["HTTP", bytesOf("GET / HTTP/1.1\r\nHost: db.example\r\n\r\n"), "08P01", /length of startup packet/],
  ["SSH", bytesOf("SSH-2.0-OpenSSH_9.2\r\n"), "08P01", /length of startup packet/],
  [
    "bytes that mean nothing",
    bytesOf(0x9b, 0x00, 0xff, 0x61, 0x13, 0x37),
    "08P01",
    /length of startup packet/,
  ],
  ...[0, 1, 2, 3, 4, 5, 6, 7].map((length) =>
    [`length ${length}`, bytesOf(0, 0, 0, length), "08P01", /less than 8 bytes/] as const
  ),
  ["length 10,005", bytesOf(0, 0, 0x27, 0x15, 0, 3, 0, 0), "08P01", /more than 10004 bytes/],
  ["length 2^31", bytesOf(0x80, 0, 0, 0, 0, 3, 0, 0), "08P01", /more than 10004 bytes/],
  ["length 2^32 - 1", bytesOf(0xff, 0xff, 0xff, 0xff), "08P01", /more than 10004 bytes/],
];

/** Begins like TLS and is not: there is no ErrorResponse that such a client could read. */
const BROKEN_TLS: readonly (readonly [string, Uint8Array])[] = [
  ["0x16 and nothing that belongs to it", bytesOf(0x16, "this is not TLS at all, whatever it says")],
  ["a handshake record of another content", bytesOf(0x16, 3, 1, 0, 5, 0xff, 0, 0, 1, 0)],
  ["a handshake record of 65,535 bytes", bytesOf(0x16, 3, 1, 0xff, 0xff, new Uint8Array(100))],
];

Deno.test("what is not PostgreSQL's way to begin is refused with a reason and reaches no backend", async (t) => {
  await using backend = await startFakeBackend(() => Promise.reject(new Error("not to be reached")));
  for (const [name, bytes, sqlstate, message] of REFUSED) {
    await t.step(name, async () => {
      await using proxy = await start(backend.port);
      const error = decodeErrorResponse(await answerTo(proxy.ports[0]!, bytes));
      assert.deepEqual([error.severity, error.sqlstate], ["FATAL", sqlstate]);
      assert.match(error.message, message);
      const reason = name.startsWith("StartupMessage in clear") ? "tls_required" : "protocol_violation";
      assert.equal((await checkRefused(proxy, reason)).bytes_from_backend, 0);
    });
  }
  assert.equal(backend.accepted, 0);
});

Deno.test("what begins like TLS and is not ends as a failed handshake and reaches no backend", async (t) => {
  await using backend = await startFakeBackend(() => Promise.reject(new Error("not to be reached")));
  for (const [name, bytes] of BROKEN_TLS) {
    await t.step(name, async () => {
      await using proxy = await start(backend.port);
      const answer = await answerTo(proxy.ports[0]!, bytes);
      assert.ok(
        answer.length === 0 || answer[0] === 0x15,
        `expected a TLS alert or nothing: ${textOf(answer)}`,
      );
      await checkRefused(proxy, "handshake_failed");
    });
  }
  assert.equal(backend.accepted, 0);
});

Deno.test("a StartupMessage in clear is told how to connect", async () => {
  await using backend = await startFakeBackend(() => Promise.resolve());
  await using proxy = await start(backend.port);
  const error = decodeErrorResponse(await answerTo(proxy.ports[0]!, STARTUP_MESSAGE));
  assert.match(error.hint ?? "", /sslmode=require.*sslmode=verify-full/);
});

Deno.test("a request for encryption that has been answered is not answered again", async (t) => {
  await using backend = await startFakeBackend(() => Promise.resolve());
  await t.step("GSSENCRequest twice", async () => {
    await using proxy = await start(backend.port);
    await using client = await connectRaw(proxy.ports[0]!);
    await client.send(GSSENC_REQUEST);
    assert.equal(textOf(await client.read(1)), "N");
    await client.send(GSSENC_REQUEST);
    assert.equal((await readError(client)).sqlstate, "0A000");
    await checkRefused(proxy, "protocol_violation");
  });
  await t.step("SSLRequest twice", async () => {
    await using proxy = await start(backend.port);
    await using client = await connectRaw(proxy.ports[0]!);
    await client.send(SSL_REQUEST);
    assert.equal(textOf(await client.read(1)), "S");
    await client.send(SSL_REQUEST);
    const answer = await client.readAll();
    assert.ok(answer.length === 0 || answer[0] === 0x15, "expected a TLS alert or nothing");
    await checkRefused(proxy, "handshake_failed");
  });
  for (const [name, request] of [["SSLRequest", SSL_REQUEST], ["GSSENCRequest", GSSENC_REQUEST]] as const) {
    await t.step(`${name} inside TLS`, async () => {
      await using proxy = await start(backend.port);
      await using client = await connectRawTls(proxy.ports[0]!);
      await client.send(request);
      const { sqlstate, message } = await readError(client);
      assert.equal(sqlstate, "08P01");
      assert.match(message, /encryption requested inside TLS/);
      await checkRefused(proxy, "protocol_violation");
    });
  }
  assert.equal(backend.accepted, 0);
});

Deno.test("direct TLS without ALPN, or with another protocol's, is refused", async (t) => {
  await using backend = await startFakeBackend(() => Promise.resolve());
  await t.step("without ALPN: 08P01 inside TLS", async () => {
    await using proxy = await start(backend.port);
    const tcp = await connectRaw(proxy.ports[0]!);
    await using client = await tcp.startTls();
    await client.send(startupMessage());
    const { sqlstate, message } = await readError(client);
    assert.equal(sqlstate, "08P01");
    assert.match(message, /without ALPN protocol "postgresql"/);
    await checkRefused(proxy, "protocol_violation");
  });
  await t.step("with ALPN h2: no handshake", async () => {
    await using proxy = await start(backend.port);
    await using tcp = await connectRaw(proxy.ports[0]!);
    await assert.rejects(tcp.startTls({ alpn: ["h2"] }));
    await checkRefused(proxy, "handshake_failed");
  });
  assert.equal(backend.accepted, 0);
});

function start(backendPort: number): Promise<TestProxy> {
  return startTestProxy({
    listener: listenerKeys(leaf),
    backend: { address: `127.0.0.1:${backendPort}`, tls_enabled: false },
  });
}

async function checkRefused(proxy: TestProxy, reason: CloseReason) {
  const line = await onlyClosingLine(proxy);
  assert.equal(line.reason, reason);
  assert.equal(line.backend, null);
  return line;
}
