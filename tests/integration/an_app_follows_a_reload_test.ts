/** A changed app decides about the next client; one that does not load, or does not start, leaves the old in office. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { startCountingBackend } from "../support/counting_backend.ts";
import { isEvent, listenerKeys, startTestProxy, type TestProxy } from "../support/proxy.ts";
import { sClient } from "../support/s_client.ts";
import { leaf } from "../support/two_legs.ts";

const ACCEPT = `export default async (scope: any, receive: any, send: any) => {
  if (scope.type !== "postgresql") throw new TypeError("no such scope");
  await receive();
  await send({ type: "postgresql.accept" });
};`;
const REJECT = ACCEPT.replace("postgresql.accept", "postgresql.reject");
const CANNOT_START = `export default async (scope: any, _receive: any, send: any) => {
  if (scope.type === "lifespan") return await send({ type: "lifespan.startup.failed", message: "no policy" });
  await send({ type: "postgresql.accept" });
};`;

Deno.test("a changed app decides from the next client on; a broken one keeps the old, and is named", async () => {
  await using backend = await startCountingBackend();
  await using proxy = await startTestProxy({
    app: ACCEPT,
    listener: listenerKeys(leaf),
    backend: backend.backend,
  });
  assert.equal(await answer(proxy), "served");
  const file = join(proxy.dir, "route0.ts");
  for (const source of ["export default 3 +;", CANNOT_START]) {
    await proxy.replace("route0.ts", source);
    const { last: { ok, problems } } = await proxy.refresh();
    assert.deepEqual([ok, problems.map(({ path, file }) => [path, file])], [false, [["proxy[0].app", file]]]);
    assert.equal(await answer(proxy), "served");
  }
  assert.equal(proxy.events.filter(isEvent("tls.reload_failed")).length, 2);
  await proxy.replace("route0.ts", REJECT);
  assert.equal((await proxy.refresh()).last.ok, true);
  assert.deepEqual(proxy.events.find(isEvent("tls.reloaded"))?.files, [file]);
  assert.equal(await answer(proxy), "28000");
});

Deno.test("a changed rule decides from the next client on", async () => {
  await using backend = await startCountingBackend();
  const route = (users: string) => ({
    keys: { allow: [{ users }] },
    listener: listenerKeys(leaf),
    backend: backend.backend,
  });
  await using proxy = await startTestProxy(route("alice"));
  assert.equal(await answer(proxy), "served");
  await proxy.configure(route("/ali/"));
  assert.equal((await proxy.reload()).last.ok, true);
  assert.equal(await answer(proxy), "28000");
  await proxy.configure(route("/ali.*/"));
  await proxy.reload();
  assert.equal(await answer(proxy), "served");
});

async function answer(proxy: TestProxy): Promise<string | null> {
  const { ready, sqlstate } = await sClient(proxy.port("route0"));
  return ready ? "served" : sqlstate;
}
