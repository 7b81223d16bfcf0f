/** Workers are started on a glance at the configuration; what it says, once it is read, is what counts. */
import assert from "node:assert/strict";
import { stringify } from "smol-toml";
import type { PgtlsEvent } from "../../src/observe/events.ts";
import { RunningProxy } from "../../src/proxy.ts";
import { EarlyIsolates } from "../../src/workers/early_isolates.ts";
import { until } from "../support/closing_lines.ts";
import { serve, startFakeBackend, WELCOME } from "../support/fake_backend.ts";
import { pgtls, pgtlsCommand } from "../support/pgtls.ts";
import { startProcess } from "../support/process.ts";
import { connectRawTls, startupMessage } from "../support/raw_client.ts";
import { type RouteTables, writeConfig } from "../support/proxy.ts";
import { routeTo } from "../support/two_legs.ts";

Deno.test("there are as many workers as the configuration says, whatever a glance at it suggests", async () => {
  await using backend = await startFakeBackend(serve);
  const route = routeTo(backend.port, "clear");
  // A key in quotes is the same key, and a glance does not see it: it takes this for "auto".
  for (const [top, count] of [["workers = 1", 0], [`"workers" = 1`, 0], [`"workers" = 3`, 3]] as const) {
    await using files = await folder(top, route);
    const { command, args } = pgtlsCommand("run", "-c", files.config);
    await using child = startProcess(command, args);
    await child.waitFor(/server\.started/);
    await until(() => workersOf(child.pid) === count, `${count} workers with ${top}`);
    const { code, stderr } = await child.stop("SIGTERM");
    assert.equal(code, 0, stderr);
  }
});

Deno.test("a wrong configuration says the same with workers under way, and nothing was bound", async () => {
  const wrong = [
    "workers = 2\n[[proxy]\n",
    "workers = 2\nworker = 3\n",
    `workers = 2\n${
      stringify({ proxy: [routeTo(1, "clear", { listener: { server_cert: "missing.pem" } })] })
    }`,
  ];
  for (const text of wrong) {
    await using files = await folder(text);
    const started = await pgtls("run", "-c", files.config);
    const parsed = await pgtls("run", `--config=${files.config}`);
    assert.equal(started.code, 2, started.stderr);
    assert.deepEqual(started, parsed);
    assert.match(started.stderr, /^Cannot use config /);
  }
});

Deno.test("a worker that dies before there is anything to serve is replaced by another one", async () => {
  await using backend = await startFakeBackend(serve);
  await using files = await folder("workers = 2", routeTo(backend.port, "clear"));
  const events: PgtlsEvent[] = [];
  const proxy = await RunningProxy.start(files.config, {
    observe: (event) => events.push(event),
    workers: {
      module: new URL("../support/mortal_worker.ts", import.meta.url).href,
      isolates: new EarlyIsolates(2, `data:text/javascript,throw new Error("dies early")`),
    },
  });
  try {
    assert.deepEqual(events.filter(({ event }) => event === "worker.failed"), []);
    assert.equal(events.find((event) => event.event === "server.started")?.workers, 2);
    await using client = await connectRawTls(proxy.addresses[0]!.port);
    await client.send(startupMessage());
    assert.deepEqual(await client.read(WELCOME.length), WELCOME);
  } finally {
    await proxy.drain(0);
  }
});

Deno.test("a configuration that is no file is refused, and not waited for", async () => {
  for (const path of ["/dev/zero", "/", "/nowhere/pgtls.toml"]) {
    const { code, stderr } = await pgtls("-c", path);
    assert.equal(code, 2);
    assert.match(stderr, /^Cannot use config /);
  }
});

async function folder(top: string, ...routes: readonly RouteTables[]) {
  const dir = await Deno.makeTempDir({ prefix: "pgtls-early-" });
  const config = await writeConfig(dir, routes, { log_format: "json" });
  const text = (await Deno.readTextFile(config)).replace(/^workers = 1$/m, top);
  await Deno.writeTextFile(config, routes.length === 0 ? top : text);
  return { config, [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }) };
}

/** Deno names the thread of each isolate that is not the main one. */
function workersOf(pid: number): number {
  const threads = [...Deno.readDirSync(`/proc/${pid}/task`)];
  return threads.filter(({ name }) =>
    /^worker-/.test(Deno.readTextFileSync(`/proc/${pid}/task/${name}/comm`))
  ).length;
}
