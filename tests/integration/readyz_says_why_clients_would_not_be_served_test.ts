/** /readyz is 200 while clients that come now will be served, and else 503 with each reason. */
import assert from "node:assert/strict";
import { ask } from "../support/admin_client.ts";
import { startFakeBackend } from "../support/fake_backend.ts";
import { makeCa } from "../support/pki.ts";
import { listenerKeys, startAdminProxy } from "../support/proxy.ts";
import { startTlsPostgres } from "../support/postgres.ts";
import { parseExposition, valueOf } from "../support/prometheus.ts";
import { startPsql } from "../support/psql.ts";
import { ca, leaf, routeTo, speak } from "../support/two_legs.ts";

for (const [leg, names] of [["TLS", ["orders"]], ["clear", ["one", "two"]]] as const) {
  Deno.test(`a backend that is reached by ${leg} makes it ready, and is asked once for many questions`, async () => {
    let dialled = 0;
    await using backend = await startFakeBackend(async (tcp) => {
      dialled++;
      await (await speak(tcp, leg)).closed();
    });
    const routes = names.map((name) => ({ ...routeTo(backend.port, leg), name }));
    await using proxy = await startAdminProxy({}, ...routes);
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(proxy.adminPort, "/readyz")));
    for (const { status, text } of answers) {
      assert.equal(status, 200);
      const { ready, reasons, generation, last_reload } = JSON.parse(text);
      assert.deepEqual({ ready, reasons, generation }, { ready: true, reasons: [], generation: 1 });
      assert.equal(last_reload.ok, true);
      assert.ok(Date.now() - Date.parse(last_reload.at) < 60_000);
    }
    assert.equal(dialled, 1);
  });
}

Deno.test("backends that are gone, not trusted or without TLS are named, each with its route", async () => {
  await using plain = await startFakeBackend((tcp) => tcp.send(Uint8Array.of("N".charCodeAt(0))));
  await using postgres = await startTlsPostgres();
  const otherCa = makeCa({ name: "another CA" }).certPem;
  await using proxy = await startAdminProxy(
    {},
    { ...routeTo(1, "TLS"), name: "gone" },
    { ...routeTo(postgres.port, "TLS", { backend: { root_ca: otherCa } }), name: "untrusted" },
    { ...routeTo(postgres.port, "TLS", { backend: { root_ca: postgres.ca.certPem } }), name: "fine" },
    { ...routeTo(plain.port, "TLS"), name: "plain" },
  );
  const { status, text } = await ask(proxy.adminPort, "/readyz");
  const { ready, reasons } = JSON.parse(text);
  assert.deepEqual([status, ready], [503, false]);
  assert.deepEqual(reasons.map(({ route, what }: { route: string; what: string }) => [route, what]), [
    ["gone", "backend_unreachable"],
    ["untrusted", "backend_untrusted"],
    ["plain", "backend_tls_refused"],
  ]);
  assert.match(reasons[0].detail, /ECONNREFUSED/);
  assert.match(reasons[1].detail, /not trusted.*issuer/i);
  // What pgtls serves does not depend on whether it is ready.
  assert.equal((await ask(proxy.adminPort, "/livez")).status, 200);
});

Deno.test("a certificate that has expired since it was loaded makes it not ready", async () => {
  await using backend = await startFakeBackend((tcp) => tcp.closed());
  const notAfter = new Date(Math.floor(Date.now() / 1000) * 1000 + HOUR_MS);
  const brief = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost"], notAfter });
  await using proxy = await startAdminProxy({}, {
    name: "orders",
    listener: listenerKeys(brief),
    backend: { address: `127.0.0.1:${backend.port}`, tls_enabled: false },
  });
  const metrics = parseExposition((await ask(proxy.adminPort, "/metrics")).text);
  const labels = { route: "orders", use: "listener" };
  const metric = "pgtls_certificate_not_after_timestamp_seconds";
  assert.equal(valueOf(metrics, metric, labels), notAfter.getTime() / 1000);
  assert.equal((await ask(proxy.adminPort, "/readyz")).status, 200);
  // The clock of this process put forward: pgtls runs in it.
  const now = Date.now;
  using stack = new DisposableStack();
  stack.defer(() => Date.now = now);
  Date.now = () => now() + 2 * HOUR_MS;
  const { status, text } = await ask(proxy.adminPort, "/readyz");
  assert.equal(status, 503);
  const { reasons } = JSON.parse(text);
  assert.deepEqual(reasons.map(({ route, what }: { route: string; what: string }) => [route, what]), [
    ["orders", "certificate_expired"],
  ]);
  assert.match(reasons[0].detail, /"CN=localhost" \(listener, file ".*server_cert\.pem"\) expired on /);
});

Deno.test("the admin server outlives a drain, and says so", async () => {
  await using postgres = await startTlsPostgres();
  await using proxy = await startAdminProxy({}, {
    listener: listenerKeys(leaf),
    backend: { address: `127.0.0.1:${postgres.port}`, root_ca: postgres.ca.certPem },
  });
  const connection = `host=127.0.0.1 port=${proxy.ports[0]} user=alice dbname=demo sslmode=require`;
  await using busy = startPsql(connection, { args: ["-f", "-"] });
  await busy.write("BEGIN; SELECT 'begun';\n");
  await busy.waitFor(/begun/);
  const { adminPort } = proxy;
  const drained = proxy.drain(60_000);
  const { status, text } = await ask(adminPort, "/readyz");
  assert.equal(status, 503);
  assert.deepEqual(JSON.parse(text).reasons, [
    { route: null, what: "draining", detail: "pgtls is shutting down" },
  ]);
  assert.equal((await ask(adminPort, "/livez")).status, 200);
  await busy.write("SELECT 'done'; COMMIT;\n");
  await busy.waitFor(/done/);
  assert.equal(await drained, 0);
  await assert.rejects(ask(adminPort, "/livez"));
});

const HOUR_MS = 60 * 60 * 1000;
