/** Whatever is wrong with new files, clients go on being served with the old, and the log says which file it is. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { startCountingBackend } from "../support/counting_backend.ts";
import { makeCa } from "../support/pki.ts";
import { isEvent, listenerKeys, startTestProxy, type TestProxy } from "../support/proxy.ts";
import { sClient } from "../support/s_client.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const ca = makeCa({ name: "CA" });
const clientCa = makeCa({ name: "client CA" });
const server = { name: "localhost", purpose: "server", sans: ["localhost"] } as const;
const old = ca.issue(server);
const next = ca.issue(server);
const expired = ca.issue({
  ...server,
  notBefore: new Date(Date.now() - 9 * DAY_MS),
  notAfter: new Date(Date.now() - DAY_MS),
});
const alice = clientCa.issue({ name: "alice", purpose: "client" });

const [CERT, KEY, CLIENT_CA] = ["server_cert", "server_key", "client_ca"].map((key) =>
  `route0-listener-${key}.pem`
) as [string, string, string];

/** What is put in the place of which file (`null`: nothing), and what is said about which. */
const BROKEN: readonly {
  readonly what: string;
  readonly files: Readonly<Record<string, string | null>>;
  readonly about: string;
  readonly detail: RegExp;
}[] = [
  {
    what: "a certificate without its key",
    files: { [CERT]: next.chainPem },
    about: KEY,
    detail: /its private key does not belong to the certificate/,
  },
  { what: "garbage", files: { [CERT]: "garbage" }, about: CERT, detail: /it holds no PEM block/ },
  {
    what: "half a file",
    files: { [CERT]: next.chainPem.slice(0, 300) },
    about: CERT,
    detail: /Cannot use file/,
  },
  { what: "an empty file", files: { [KEY]: "" }, about: KEY, detail: /it is empty/ },
  {
    what: "an expired pair",
    files: { [CERT]: expired.chainPem, [KEY]: expired.keyPem },
    about: CERT,
    detail: /expired on/,
  },
  { what: "nothing", files: { [KEY]: null }, about: KEY, detail: /it does not exist/ },
  {
    what: "a CA bundle without a certificate",
    files: { [CLIENT_CA]: "# none\n" },
    about: CLIENT_CA,
    detail: /PEM/,
  },
];

for (const { what, files, about, detail } of BROKEN) {
  Deno.test(`a broken new certificate keeps the old: ${what}`, async () => {
    await using backend = await startCountingBackend();
    await using proxy = await startTestProxy({
      listener: listenerKeys(old, clientCa),
      backend: backend.backend,
    });
    for (const [name, content] of Object.entries(files)) {
      if (content === null) await Deno.remove(join(proxy.dir, name));
      else await proxy.replace(name, content);
    }
    const { last: { ok, problems }, generation } = await proxy.refresh();
    assert.deepEqual([ok, generation], [false, 1]);
    const path = join(proxy.dir, about);
    assert.deepEqual(problems.map(({ route, file }) => [route, file]), [["route0", path]]);
    const failed = proxy.events.filter(isEvent("tls.reload_failed"));
    assert.deepEqual(failed.map(({ route, file }) => [route, file]), [["route0", path]]);
    assert.match(failed[0]!.detail, detail);
    await checkServes(proxy, old);

    await proxy.replace(CERT, next.chainPem);
    await proxy.replace(KEY, next.keyPem);
    await proxy.replace(CLIENT_CA, clientCa.certPem);
    assert.equal((await proxy.refresh()).last.ok, true);
    await checkServes(proxy, next);
  });
}

Deno.test("a half-written pair is taken once it is whole, and told of only once until then", async () => {
  await using backend = await startCountingBackend();
  await using proxy = await startTestProxy({
    listener: listenerKeys(old, clientCa),
    backend: backend.backend,
  });
  await proxy.replace(CERT, next.chainPem);
  for (let look = 0; look < 3; look++) assert.equal((await proxy.refresh()).last.ok, false);
  assert.equal(proxy.events.filter(isEvent("tls.reload_failed")).length, 1);
  await proxy.replace(KEY, next.keyPem);
  assert.deepEqual((await proxy.refresh()).last.problems, []);
  await checkServes(proxy, next);
});

Deno.test("a broken certificate of one route does not keep another from getting its new one", async () => {
  await using backend = await startCountingBackend();
  const route = { listener: listenerKeys(old, clientCa), backend: backend.backend };
  await using proxy = await startTestProxy(route, route);
  await proxy.replace(CERT, "garbage");
  for (const [key, pem] of [["server_cert", next.chainPem], ["server_key", next.keyPem]] as const) {
    await proxy.replace(`route1-listener-${key}.pem`, pem);
  }
  await proxy.refresh();
  await checkServes(proxy, old, "route0");
  await checkServes(proxy, next, "route1");
});

async function checkServes(proxy: TestProxy, leaf: typeof old, route = "route0"): Promise<void> {
  const { ready, stdout } = await sClient(proxy.port(route), { leaf: alice });
  assert.ok(ready, stdout);
  assert.ok(stdout.includes(leaf.certPem.trim()), "another certificate than the one expected is served");
}
