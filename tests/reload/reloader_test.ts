import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import type { Problem } from "../../src/errors.ts";
import { load, type Loaded, Loader } from "../../src/load.ts";
import type { PgtlsEvent } from "../../src/observe/events.ts";
import { Reloader } from "../../src/reload/reloader.ts";
import { makeCa } from "../support/pki.ts";

const ca = makeCa({ name: "CA" });
const [one, two, three] = ["one", "two", "three"].map((name) =>
  ca.issue({ name, purpose: "server", sans: ["localhost"] })
) as [ReturnType<typeof ca.issue>, ReturnType<typeof ca.issue>, ReturnType<typeof ca.issue>];

const DAY_MS = 24 * 60 * 60 * 1000;

Deno.test("Reloader publishes nothing when nothing has changed, and says so to who asks", async () => {
  await using stage = await openStage(["a", "b"]);
  const { last: { ok }, generation } = await stage.reloader.reload();
  assert.deepEqual([generation, ok, stage.applied.length], [1, true, 0]);
  assert.deepEqual(stage.takeEvents(), [reloaded({ generation: 1 })]);
  await stage.reloader.refresh();
  assert.deepEqual([stage.applied.length, stage.takeEvents()], [0, []]);
});

Deno.test("Reloader replaces a route whose files have changed, and leaves the others the same objects", async () => {
  await using stage = await openStage(["a", "b"]);
  const [a, b] = stage.reloader.loaded.routes;
  await stage.write("b", two);
  const state = await stage.reloader.refresh();
  const [{ routes }] = stage.applied as [Loaded];
  assert.equal(routes[0], a);
  assert.notEqual(routes[1]?.material.listener?.certPem, b?.material.listener?.certPem);
  assert.equal(routes[1]?.material.listener?.clientPolicy.trust, b?.material.listener?.clientPolicy.trust);
  assert.deepEqual([state.generation, state.last.ok, state.last.problems], [2, true, []]);
  assert.deepEqual(stage.takeEvents(), [
    { event: "tls.reloaded", route: "b", files: [stage.path("b.pem"), stage.path("b.key")] },
  ]);
});

Deno.test("Reloader makes one trust store for two routes again when their bundle has changed", async () => {
  await using stage = await openStage(["a", "b"]);
  const before = stage.reloader.loaded.routes[0]?.material.listener?.clientPolicy.trust;
  await Deno.writeTextFile(stage.path("ca.pem"), makeCa({ name: "Other" }).certPem);
  await stage.reloader.refresh();
  const [a, b] = stage.reloader.loaded.routes.map(({ material }) => material.listener?.clientPolicy.trust);
  assert.equal(a, b);
  assert.notEqual(a, before);
});

Deno.test("Reloader lets routes be loaded bit by bit, for those who wait", async () => {
  await using stage = await openStage(["a", "b"]);
  const { loader } = stage;
  const load = loader.route;
  const rests: (() => Promise<void>)[] = [];
  loader.route = (config, files, options) => {
    if (options?.rest) rests.push(options.rest);
    return load.call(loader, config, files, options);
  };
  await stage.write("b", two);
  await stage.reloader.refresh();
  assert.equal(rests.length, 1);
  await rests[0]!();
});

Deno.test("Reloader keeps the old of a route whose new files cannot be used, takes the others, and tells once", async () => {
  await using stage = await openStage(["a", "b"]);
  const [a] = stage.reloader.loaded.routes;
  await Deno.writeTextFile(stage.path("a.pem"), two.chainPem);
  await stage.write("b", two);
  const state = await stage.reloader.refresh();
  assert.equal(stage.reloader.loaded.routes[0], a);
  assert.equal(stage.reloader.loaded.routes[1]?.material.listener?.certPem, two.chainPem);
  const detail =
    `Cannot use file "${stage.path("a.key")}": its private key does not belong to the certificate ` +
    `in "${stage.path("a.pem")}"`;
  const failed = { event: "tls.reload_failed", route: "a", file: stage.path("a.key"), detail };
  assert.deepEqual(stage.takeEvents(), [
    { event: "tls.reloaded", route: "b", files: [stage.path("b.pem"), stage.path("b.key")] },
    failed,
  ]);
  assert.equal(state.last.ok, false);
  assert.deepEqual(state.last.problems.map(({ route, file, message }) => [route, file, message]), [
    ["a", stage.path("a.key"), detail],
  ]);

  const again = await stage.reloader.refresh();
  assert.deepEqual([stage.takeEvents(), again.last.ok, again.last.at], [[], false, state.last.at]);
  await stage.reloader.reload();
  assert.deepEqual(stage.takeEvents(), [failed, reloaded({ generation: 2 })]);

  await Deno.writeTextFile(stage.path("a.key"), two.keyPem);
  const { last: { ok, problems }, generation } = await stage.reloader.refresh();
  assert.deepEqual([ok, problems, generation], [true, [], 3]);
  assert.deepEqual(stage.takeEvents(), [
    { event: "tls.reloaded", route: "a", files: [stage.path("a.pem"), stage.path("a.key")] },
  ]);
});

Deno.test("Reloader takes a configuration with routes added, changed, moved and removed", async () => {
  await using stage = await openStage(["a", "b", "c"]);
  const [a, , c] = stage.reloader.loaded.routes;
  await stage.configure(["d", "c", "b", "a"].filter((name) => name !== "b"), { c: "max_connections = 7" });
  await stage.write("d", three);
  await stage.reloader.reload();
  assert.deepEqual(stage.takeEvents().filter(({ event }) => event === "config.reloaded"), [
    reloaded({ generation: 2, added: ["d"], changed: ["c"], removed: ["b"] }),
  ]);
  const { routes } = stage.applied[0]!;
  assert.deepEqual(routes.map(({ config }) => config.name), ["d", "c", "a"]);
  assert.equal(routes[2]?.material, a?.material, "it has only moved");
  assert.equal(routes[2]?.config.index, 2);
  assert.notEqual(routes[1]?.material, c?.material);
});

Deno.test("Reloader changes nothing when the configuration file does not pass", async () => {
  await using stage = await openStage(["a"]);
  const before = stage.reloader.loaded;
  await stage.write("a", two);
  for (const text of ["garbage", "workers = 0\n", ""]) {
    await Deno.writeTextFile(stage.config, text);
    const { last: { ok, problems } } = await stage.reloader.reload();
    assert.equal(ok, false);
    assert.deepEqual([problems[0]?.route, problems[0]?.file], [undefined, stage.config]);
    assert.equal(stage.reloader.loaded, before);
    assert.deepEqual(stage.takeEvents().map(({ event }) => event), ["config.reload_failed"]);
  }
  assert.equal(stage.applied.length, 0);
  await stage.reloader.refresh();
  assert.deepEqual(
    stage.takeEvents().map(({ event }) => event),
    ["tls.reloaded"],
    "files are taken all the same",
  );
  assert.equal(stage.reloader.state.last.ok, false, "the file is still wrong");
  await stage.configure(["a"]);
  assert.equal((await stage.reloader.reload()).last.ok, true);
});

Deno.test("Reloader leaves a new route out while its files are missing, and takes it when they come", async () => {
  await using stage = await openStage(["a"]);
  await Deno.remove(stage.path("b.pem"));
  await stage.configure(["a", "b"]);
  assert.equal((await stage.reloader.reload()).last.ok, false);
  assert.deepEqual(stage.reloader.loaded.routes.map(({ config }) => config.name), ["a"]);
  assert.ok(stage.reloader.paths.includes(stage.path("b.pem")));
  await stage.write("b", one);
  assert.equal((await stage.reloader.refresh()).last.ok, true);
  assert.deepEqual(stage.reloader.loaded.routes.map(({ config }) => config.name), ["a", "b"]);
});

Deno.test("Reloader keeps the old of a route that cannot be bound, and of that alone", async () => {
  await using stage = await openStage(["a", "b"]);
  const [a] = stage.reloader.loaded.routes;
  const problem = { path: "proxy[0].listener.bind_address", route: "a", message: "Cannot listen" };
  stage.refuse([problem]);
  await stage.configure(["a", "b", "c"], { a: "max_connections = 7", b: "max_connections = 7" });
  const { last: { ok, problems } } = await stage.reloader.reload();
  assert.deepEqual([ok, problems], [false, [{ ...problem, file: null }]]);
  const { routes, config } = stage.reloader.loaded;
  assert.equal(routes[0], a);
  assert.deepEqual(config.routes.map(({ listener }) => listener.maxConnections), [0, 7, 0]);
  stage.refuse([]);
  assert.equal((await stage.reloader.reload()).last.ok, true);
  assert.equal(stage.reloader.loaded.config.routes[0]?.listener.maxConnections, 7);
});

Deno.test("Reloader says when files that could not be used are as they were, and when that was", async () => {
  await using stage = await openStage(["a", "b"]);
  await Deno.writeTextFile(stage.path("a.pem"), "garbage");
  const failed = await stage.reloader.refresh();
  assert.equal(failed.last.ok, false);
  stage.takeEvents();
  await stage.write("a", one);
  const { generation, last, succeededAt } = await stage.reloader.refresh();
  assert.deepEqual([generation, last.ok, last.problems, stage.applied.length], [1, true, [], 0]);
  assert.ok(last.at === succeededAt && last.at >= failed.last.at && succeededAt > failed.succeededAt);
  const files = [stage.path("a.pem")];
  assert.deepEqual(stage.takeEvents(), [{ event: "tls.reloaded", route: "a", files }]);
  await stage.reloader.refresh();
  assert.deepEqual(stage.takeEvents(), []);
});

Deno.test("Reloader.remind() says what runs out within 14 days, though no file has changed", async () => {
  await using stage = await openStage(["a", "b"]);
  await stage.reloader.remind();
  assert.deepEqual(stage.takeEvents(), []);
  const { validToDate } = new X509Certificate(one.certPem);
  await stage.reloader.remind(validToDate.getTime() - 13 * DAY_MS);
  const told = stage.takeEvents();
  assert.deepEqual(told.map((event) => event.event === "tls.expiring" && event.problem.path), [
    "proxy[0].listener.server_cert",
    "proxy[1].listener.server_cert",
  ]);
  assert.equal(stage.applied.length, 0);
});

Deno.test("Reloader refuses what would put two routes on one address because one of them must stay", async () => {
  await using stage = await openStage(["a", "b"]);
  const before = stage.reloader.loaded;
  const [a, b] = before.config.routes.map(({ listener: { bindAddress } }) =>
    bindAddress.kind === "tcp" ? bindAddress.port : 0
  );
  // The two change places, but b's new certificate cannot be used: it would have to stay where a is to be.
  await Deno.writeTextFile(stage.path("b.pem"), "garbage");
  await stage.configure(["a", "b"], {}, { a: b!, b: a! });
  const { last: { ok } } = await stage.reloader.reload();
  assert.equal(ok, false);
  assert.equal(stage.reloader.loaded, before);
  assert.equal(stage.applied.length, 0);
});

Deno.test("Reloader takes what was asked for one after the other, and nothing any more once stopped", async () => {
  await using stage = await openStage(["a"]);
  const first = stage.reloader.reload();
  await stage.write("a", two);
  const [, { generation }] = await Promise.all([first, stage.reloader.reload()]);
  assert.equal(generation, 2);
  const last = stage.reloader.reload();
  await stage.reloader.stop();
  await last;
  await stage.write("a", three);
  assert.equal((await stage.reloader.reload()).generation, 2);
});

function reloaded(
  fields: { generation: number; added?: string[]; changed?: string[]; removed?: string[] },
) {
  return { event: "config.reloaded", file: "pgtls.toml", added: [], changed: [], removed: [], ...fields };
}

/** Routes with files of their own and one CA bundle; what is applied is noted, and refused if the test says so. */
async function openStage(names: readonly string[]) {
  const folder = await Deno.makeTempDir();
  const path = (name: string) => join(folder, name);
  const config = path("pgtls.toml");
  const write = async (name: string, leaf: typeof one) => {
    await Deno.writeTextFile(path(`${name}.pem`), leaf.chainPem);
    await Deno.writeTextFile(path(`${name}.key`), leaf.keyPem, { mode: 0o600 });
  };
  const configure = async (
    routes: readonly string[],
    keys: Readonly<Record<string, string>> = {},
    ports: Readonly<Record<string, number>> = {},
  ) => {
    const tables = routes.map((name) => `
[[proxy]]
name = "${name}"
[proxy.listener]
bind_address = "127.0.0.1:${ports[name] ?? 10_000 + name.charCodeAt(0)}"
server_cert = "${name}.pem"
server_key = "${name}.key"
mtls = true
client_ca = "ca.pem"
${keys[name] ?? ""}
[proxy.backend]
address = "127.0.0.1:1"
tls_enabled = false
`);
    await Deno.writeTextFile(config, tables.join(""));
  };
  await Deno.writeTextFile(path("ca.pem"), ca.certPem);
  for (const name of ["a", "b", "c"]) await write(name, one);
  await configure(names);
  const events: PgtlsEvent[] = [];
  const applied: Loaded[] = [];
  let refused: readonly Problem[] = [];
  const loader = new Loader();
  const reloader = new Reloader({
    loader,
    loaded: await load(config, loader),
    observe: (event) => events.push(event),
    apply: (loaded) => {
      applied.push(loaded);
      return Promise.resolve(refused);
    },
  });
  return {
    loader,
    reloader,
    applied,
    config,
    path,
    write,
    configure,
    refuse: (problems: readonly Problem[]) => refused = problems,
    takeEvents: () =>
      events.splice(0).map((event) =>
        event.event === "config.reloaded" ? { ...event, file: "pgtls.toml" } : event
      ),
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}
