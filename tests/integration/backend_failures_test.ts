/** Each way a backend can fail before a session begins: what psql shows, what the log says, and that nothing leaks to it. */
import assert from "node:assert/strict";
import { freePort } from "../../src/demo/ports.ts";
import type { CloseReason } from "../../src/errors.ts";
import { encodeErrorResponse } from "../../src/wire/error_response.ts";
import { bytesOf, SSL_REQUEST } from "../wire/bytes.ts";
import { closingLines } from "../support/closing_lines.ts";
import { type BackendScript, grantTls, startFakeBackend } from "../support/fake_backend.ts";
import { makeCa } from "../support/pki.ts";
import { psql } from "../support/psql.ts";
import { isEvent, type TestProxy } from "../support/proxy.ts";
import { connectRawTls, readError, startupMessage } from "../support/raw_client.ts";
import { ca, leaf, startProxyTo } from "../support/two_legs.ts";

interface Failing {
  readonly script: BackendScript;
  readonly keys?: Record<string, unknown>;
  readonly reason: CloseReason;
  readonly sqlstate?: string;
  readonly message: string;
  readonly detail: RegExp;
}

const TLS_REFUSED = { reason: "backend_tls_refused", message: "backend cannot be reached over TLS" } as const;
const UNTRUSTED = { reason: "backend_untrusted", message: "backend is not trusted" } as const;
const LATE = { reason: "backend_timeout", message: "backend did not answer in time" } as const;
const TOO_MANY = encodeErrorResponse({
  severity: "FATAL",
  sqlstate: "53300",
  message: "sorry, too many clients",
});
const otherCa = makeCa({ name: "another CA" });

const FAILING: Readonly<Record<string, Failing>> = {
  "accepts and says nothing": {
    script: () => Promise.resolve(),
    keys: { connect_timeout: "300ms" },
    ...LATE,
    detail: /within 300 ms \(connect_timeout\)/,
  },
  "answers S and says nothing": {
    script: answering(bytesOf("S")),
    keys: { connect_timeout: "300ms" },
    ...LATE,
    detail: /within 300 ms \(connect_timeout\)/,
  },
  "answers N": { script: answering(bytesOf("N")), ...TLS_REFUSED, detail: /answered N to SSLRequest/ },
  "answers garbage": {
    script: answering(bytesOf("HTTP/1.1 400")),
    ...TLS_REFUSED,
    detail: /is not S, N or E/,
  },
  "stuffs bytes behind its S": {
    script: answering(bytesOf("S", "R\0\0\0\x08\0\0\0\0")),
    ...TLS_REFUSED,
    detail: /unencrypted data after its S/,
  },
  "answers S and then no TLS": {
    script: async (peer) => {
      await answering(bytesOf("S"))(peer);
      // The ClientHello; whoever answers it in clear is no TLS server.
      await peer.readSome();
      await peer.send(bytesOf("this is not TLS"));
    },
    ...TLS_REFUSED,
    detail: /Could not complete the TLS handshake with the backend/,
  },
  "answers with an error": {
    script: answering(TOO_MANY),
    reason: "backend_error",
    sqlstate: "53300",
    message: "backend refused the connection before TLS (unverified): sorry, too many clients",
    detail: /answered SSLRequest with an error: sorry, too many clients/,
  },
  "closes at once": {
    script: (peer) => {
      peer.end();
      return Promise.resolve();
    },
    ...TLS_REFUSED,
    detail: /closed the connection on SSLRequest/,
  },
  "resets the connection": {
    script: async (peer) => {
      await peer.read(SSL_REQUEST.length);
      peer.reset();
    },
    reason: "backend_unreachable",
    message: "backend cannot be reached",
    detail: /Backend dropped the connection/,
  },
  "presents a certificate of another CA": {
    script: silentInTls,
    keys: { root_ca: otherCa.certPem },
    ...UNTRUSTED,
    detail: /Backend is not trusted: /,
  },
  "presents a certificate for another name": {
    script: silentInTls,
    keys: { server_name: "db.example.com" },
    ...UNTRUSTED,
    detail: /db\.example\.com/,
  },
  "takes direct TLS without selecting an ALPN protocol": {
    script: async (tcp) => {
      const peer = await tcp.acceptTls(leaf, { alpn: [] });
      assert.equal((await peer.readAll()).length, 0, "StartupMessage sent without ALPN");
    },
    keys: { negotiation: "direct" },
    ...TLS_REFUSED,
    detail: /did not select ALPN protocol "postgresql"/,
  },
  "knows no direct TLS": {
    script: async (peer) => {
      await peer.readSome();
      peer.end();
    },
    keys: { negotiation: "direct" },
    ...TLS_REFUSED,
    detail: /Could not complete the TLS handshake with the backend/,
  },
};

for (const [name, failing] of Object.entries(FAILING)) {
  Deno.test(`a backend that ${name} is reported to client and log`, async () => {
    await using backend = await startFakeBackend(failing.script);
    await using proxy = await startProxyTo(backend.port, "TLS", { backend: failing.keys ?? {} });
    await checkFailure(proxy, failing);
  });
}

Deno.test("a backend that nobody listens as is reported to client and log", async () => {
  await using proxy = await startProxyTo(freePort(), "TLS");
  await checkFailure(proxy, {
    reason: "backend_unreachable",
    message: "backend cannot be reached",
    detail: /Could not connect to the backend: .*ECONNREFUSED/,
  });
});

/** Once with psql, for what people see, and once in bytes, for the SQLSTATE that psql does not show. */
async function checkFailure(proxy: TestProxy, failing: Omit<Failing, "script">): Promise<void> {
  const port = proxy.ports[0]!;
  const rootCert = `${proxy.dir}/ca.pem`;
  await Deno.writeTextFile(rootCert, ca.certPem);
  const { code, stderr } = await psql(
    `host=localhost hostaddr=127.0.0.1 port=${port} user=alice connect_timeout=10 sslmode=verify-full sslrootcert=${rootCert}`,
  );
  assert.equal(code, 2, stderr);
  assert.ok(stderr.endsWith(`FATAL:  ${failing.message}\n`), stderr);
  await using client = await connectRawTls(port);
  await client.send(startupMessage());
  const { sqlstate, message } = await readError(client);
  assert.deepEqual([sqlstate, message], [failing.sqlstate ?? "08001", failing.message]);
  const lines = await closingLines(proxy);
  assert.deepEqual(lines.map(({ reason }) => reason), [failing.reason, failing.reason]);
  for (const { detail } of lines) assert.match(detail ?? "", failing.detail);
  const failures = proxy.events.filter(isEvent("backend.failed"));
  assert.deepEqual(failures.map(({ reason }) => reason), [failing.reason, failing.reason]);
}

/** Reads the SSLRequest, which must be all there is, and answers. */
function answering(answer: Uint8Array): BackendScript {
  return async (peer) => {
    assert.deepEqual(await peer.read(SSL_REQUEST.length), SSL_REQUEST);
    await peer.send(answer);
  };
}

/** Completes TLS; a backend that is not trusted must not hear a byte of PostgreSQL. */
async function silentInTls(tcp: Parameters<BackendScript>[0]): Promise<void> {
  const peer = await grantTls(tcp, leaf);
  assert.equal((await peer.readAll()).length, 0, "bytes sent to a backend that is not trusted");
}
