/** What does not come about is told as an event: before TLS, in the handshake, at the start; and what runs out soon. */
import assert from "node:assert/strict";
import { formatProblem } from "../../src/errors.ts";
import { bytesOf, SSL_REQUEST } from "../wire/bytes.ts";
import { onlyClosingLine } from "../support/closing_lines.ts";
import { pgtls } from "../support/pgtls.ts";
import { makeCa } from "../support/pki.ts";
import { isEvent, listenerKeys, startTestProxy } from "../support/proxy.ts";
import { answerTo, connectRaw } from "../support/raw_client.ts";
import { ca, routeTo, startProxyTo } from "../support/two_legs.ts";

const DAY_MS = 86_400_000;

/** A port nobody listens on. */
const NOBODY = 1;

Deno.test("garbage before TLS is a negotiation.failed, with the reason of the closing line", async () => {
  await using proxy = await startProxyTo(NOBODY, "clear");
  await answerTo(proxy.ports[0]!, new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
  const { reason, connection } = await onlyClosingLine(proxy);
  const [failed, ...more] = proxy.events.filter(isEvent("negotiation.failed"));
  assert.deepEqual([failed?.reason, failed?.connection, more.length], [reason, connection, 0]);
  assert.equal(reason, "protocol_violation");
  assert.equal(proxy.events.some(isEvent("handshake.failed")), false);
});

Deno.test("garbage in place of a ClientHello is a handshake.failed", async () => {
  await using proxy = await startProxyTo(NOBODY, "clear");
  const client = await connectRaw(proxy.ports[0]!);
  await client.send(bytesOf(SSL_REQUEST));
  await client.read(1);
  await client.send(bytesOf(0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5));
  await client.readAll();
  const { reason } = await onlyClosingLine(proxy);
  const failed = proxy.events.filter(isEvent("handshake.failed"));
  assert.deepEqual(failed.map((event) => event.reason), [reason]);
  assert.equal(proxy.events.some(isEvent("negotiation.failed")), false);
});

Deno.test("a certificate that ends within 14 days is a tls.expiring at the start, files in use are a tls.loaded", async () => {
  const soon = ca.issue({
    name: "localhost",
    purpose: "server",
    sans: ["localhost"],
    notAfter: new Date(Date.now() + 5 * DAY_MS),
  });
  await using proxy = await startTestProxy({
    name: "r",
    ...routeTo(NOBODY, "TLS"),
    listener: listenerKeys(soon),
  });
  const [expiring, ...more] = proxy.events.filter(isEvent("tls.expiring"));
  assert.equal(more.length, 0);
  assert.match(
    formatProblem(expiring!.problem),
    /proxy\[0\]\.listener\.server_cert \(route "r"\): .* renewed/,
  );
  const [loaded] = proxy.events.filter(isEvent("tls.loaded"));
  assert.equal(loaded?.route, "r");
  assert.equal(loaded?.files.length, 3);
});

Deno.test("an address that is taken is a listener.failed of its route, and exit code 2", async () => {
  const leaf = makeCa({ name: "CA" }).issue({ name: "localhost", purpose: "server", sans: ["localhost"] });
  await using taken = await startTestProxy({ listener: listenerKeys(leaf), backend: PLAINTEXT });
  const dir = await Deno.makeTempDir({ prefix: "pgtls-taken-" });
  try {
    const config = `${dir}/pgtls.toml`;
    await Deno.writeTextFile(
      config,
      `workers = 1
log_format = "json"
[[proxy]]
name = "second"
listener = { bind_address = "127.0.0.1:${taken.ports[0]}", tls_enabled = false }
backend = { address = "127.0.0.1:1", tls_enabled = false }
`,
    );
    const { code, stderr } = await pgtls("run", "-c", config);
    assert.equal(code, 2);
    const events = stderr.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
    const failed = events.filter(({ event }) => event === "listener.failed");
    assert.deepEqual(failed.map(({ route, level }) => [route, level]), [["second", "error"]]);
    assert.match(failed[0].detail, /address already in use/);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

const PLAINTEXT = { address: "127.0.0.1:1", tls_enabled: false };
