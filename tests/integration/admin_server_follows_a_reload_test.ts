/** The admin server takes new certificates where it listens, moves, goes and comes, and keeps what it has when it cannot. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { freePort } from "../../src/demo/ports.ts";
import { ask } from "../support/admin_client.ts";
import { makeCa } from "../support/pki.ts";
import { parseExposition } from "../support/prometheus.ts";
import { isEvent, startAdminProxy, startTestProxy, type TestProxy } from "../support/proxy.ts";
import { ca as serverCa, leaf, routeTo } from "../support/two_legs.ts";

const nextCa = makeCa({ name: "next CA" });
const next = nextCa.issue({ name: "localhost", purpose: "server", sans: ["localhost"] });

Deno.test("the admin server takes a new certificate on the address it has, and keeps the old if that is broken", async () => {
  await using proxy = await startAdminProxy(
    { server_cert: leaf.chainPem, server_key: leaf.keyPem },
    routeTo(1, "clear"),
  );
  const port = proxy.adminPort;
  await proxy.replace("admin-server_cert.pem", next.chainPem);
  const { last } = await proxy.refresh();
  const file = join(proxy.dir, "admin-server_key.pem");
  assert.deepEqual(last.problems.map(({ path, file }) => [path, file]), [["admin.server_key", file]]);
  assert.deepEqual(proxy.events.findLast(isEvent("tls.reload_failed"))?.route, null);
  assert.equal((await ask(port, "/livez", { ca: serverCa.certPem })).status, 200);
  await proxy.replace("admin-server_key.pem", next.keyPem);
  assert.equal((await proxy.refresh()).last.ok, true);
  assert.deepEqual(proxy.events.findLast(isEvent("tls.reloaded"))?.route, null);
  assert.equal((await ask(port, "/livez", { ca: nextCa.certPem })).status, 200);
  assert.equal(proxy.events.filter(isEvent("admin.bound")).length, 1);
});

Deno.test("the admin server moves, stays where it is when it cannot move, and its metrics know of reloads", async () => {
  await using proxy = await startAdminProxy({}, routeTo(1, "clear"));
  const [before, after] = [proxy.adminPort, freePort()];
  await rewrite(proxy, `127.0.0.1:${after}`);
  await proxy.reload();
  assert.equal(proxy.adminPort, after);
  await assert.rejects(ask(before, "/livez"), /ECONNREFUSED/);
  assert.deepEqual(await reloadMetrics(after), { generation: 2, ok: 1 });
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await rewrite(proxy, `127.0.0.1:${taken.addr.port}`);
  const { last, generation } = await proxy.reload();
  taken.close();
  assert.match(last.problems[0]?.message ?? "", /Cannot listen on .*already in use/);
  assert.equal(proxy.adminPort, after);
  assert.deepEqual(await reloadMetrics(after), { generation, ok: 0 });
});

Deno.test("an admin server comes with a reload, and goes with one", async () => {
  await using proxy = await startTestProxy(routeTo(1, "clear"));
  assert.throws(() => proxy.adminPort);
  const text = await Deno.readTextFile(join(proxy.dir, "pgtls.toml"));
  await proxy.replace("pgtls.toml", `${text}\n[admin]\nbind_address = "127.0.0.1:0"\n`);
  await proxy.reload();
  const port = proxy.adminPort;
  assert.deepEqual(await reloadMetrics(port), { generation: 2, ok: 1 });
  await proxy.replace("pgtls.toml", text);
  await proxy.reload();
  assert.throws(() => proxy.adminPort);
  await assert.rejects(ask(port, "/livez"), /ECONNREFUSED/);
});

Deno.test("POST /reload answers with what came of it, and /certificates shows what is in use then", async () => {
  const route = routeTo(1, "clear");
  await using proxy = await startAdminProxy({}, route);
  const reload = async () => {
    const { status, text } = await ask(proxy.adminPort, "/reload", { method: "POST" });
    return { status, ...JSON.parse(text) };
  };
  await proxy.replace("route0-listener-server_cert.pem", next.chainPem);
  const failed = await reload();
  assert.deepEqual([failed.status, failed.ok, failed.generation], [422, false, 1]);
  assert.match(failed.problems[0].message, /does not belong to the certificate/);
  assert.equal(failed.problems[0].file, join(proxy.dir, "route0-listener-server_key.pem"));
  const before = await ask(proxy.adminPort, "/certificates");
  await proxy.replace("route0-listener-server_key.pem", next.keyPem);
  const { status, ok, generation, problems } = await reload();
  assert.deepEqual([status, ok, generation, problems], [200, true, 2, []]);
  assert.notEqual((await ask(proxy.adminPort, "/certificates")).text, before.text);
});

async function rewrite(proxy: TestProxy, address: string): Promise<void> {
  const text = await Deno.readTextFile(join(proxy.dir, "pgtls.toml"));
  await proxy.replace("pgtls.toml", text.replace(/(\[admin\]\nbind_address = )"[^"]*"/, `$1"${address}"`));
}

async function reloadMetrics(port: number): Promise<{ generation?: number; ok?: number }> {
  const families = parseExposition((await ask(port, "/metrics")).text);
  const value = (name: string) => families.get(name)?.samples[0]?.value;
  return { generation: value("pgtls_generation")!, ok: value("pgtls_tls_last_reload_successful")! };
}
