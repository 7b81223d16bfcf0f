import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { run } from "../support/process.ts";

Deno.test("a worker does not load what it takes to read a configuration, a command line, or to write a log", async () => {
  const worker = fileURLToPath(new URL("../../src/workers/worker.ts", import.meta.url));
  const { code, stdout, stderr } = await run(Deno.execPath(), ["info", "--json", worker]);
  assert.equal(code, 0, stderr);
  const modules: { specifier: string }[] = JSON.parse(stdout).modules;
  const names = modules.map(({ specifier }) => specifier);
  assert.ok(names.some((name) => name.endsWith("/src/server.ts")), "the list is one of modules");
  const heavy = /npm:\/(zod|smol-toml|commander|@logtape\/logtape|prom-client|ws)@|src\/(cli|admin|demo)\//;
  assert.deepEqual(names.filter((name) => heavy.test(name)), []);
});
