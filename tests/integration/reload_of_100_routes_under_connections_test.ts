/** A hundred routes get new certificates while clients connect to all of them: every connection is served, by old or new. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { admit, startFakeBackend, WELCOME } from "../support/fake_backend.ts";
import { isEvent, listenerKeys, startTestProxy } from "../support/proxy.ts";
import { connectRawTls, startupMessage } from "../support/raw_client.ts";
import { ca } from "../support/two_legs.ts";

const ROUTES = 100;

Deno.test("100 routes are reloaded under connections, and every connection is served", async () => {
  await using backend = await startFakeBackend(async (peer) => {
    await admit(peer);
    await peer.closed();
  });
  const [before, after] = [1, 2].map(() =>
    ca.issue({ name: "localhost", purpose: "server", sans: ["localhost"] })
  ) as [ReturnType<typeof ca.issue>, ReturnType<typeof ca.issue>];
  const routes = (leaf: typeof before) =>
    Array.from({ length: ROUTES }, () => ({
      listener: listenerKeys(leaf),
      backend: { address: `127.0.0.1:${backend.port}`, tls_enabled: false },
    }));
  await using proxy = await startTestProxy(...routes(before));
  const { ports } = proxy;
  let isOver = false;
  const clients = [0, 1, 2, 3].map(async (offset) => {
    let served = 0;
    for (; !isOver; served++) {
      await using client = await connectRawTls(ports[(offset * 25 + served) % ROUTES]!);
      await client.send(startupMessage());
      assert.deepEqual(await client.read(WELCOME.length), WELCOME);
    }
    return served;
  });
  await proxy.configure(...routes(after));
  const { last: { ok }, generation } = await proxy.refresh();
  assert.deepEqual([ok, generation], [true, 2], "all of them at once");
  assert.equal(proxy.events.filter(isEvent("tls.reloaded")).length, ROUTES);
  isOver = true;
  assert.ok((await Promise.all(clients)).every((served) => served > 0));
  await using client = await connectRawTls(ports[ROUTES - 1]!);
  const { serialNumber } = (client.socket as import("node:tls").TLSSocket).getPeerCertificate();
  assert.equal(BigInt(`0x${serialNumber}`), serialOf(after.certPem));
});

function serialOf(pem: string): bigint {
  return BigInt(`0x${new X509Certificate(pem).serialNumber}`);
}
