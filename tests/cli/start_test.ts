import assert from "node:assert/strict";
import { join } from "node:path";
import { configOfRun, glanceAtWorkers } from "../../src/cli/start.ts";
import { poolSize } from "../../src/workers/pool_size.ts";

Deno.test("configOfRun recognizes the usual command line, and leaves every other one to the parser", () => {
  for (const option of ["-c", "--config"]) {
    assert.equal(configOfRun([option, "pgtls.toml"]), "pgtls.toml");
    assert.equal(configOfRun(["run", option, "pgtls.toml"]), "pgtls.toml");
  }
  const others = [
    [],
    ["run"],
    ["-h"],
    ["-v"],
    ["run", "-h"],
    ["-c"],
    ["-c", "-h"],
    ["-c", "--version"],
    ["-c", "a.toml", "-h"],
    ["-c", "a.toml", "more"],
    ["run", "run", "-c", "a.toml"],
    ["check", "-c", "a.toml"],
    ["certs", "dir"],
    ["--config=a.toml"],
  ];
  for (const args of others) assert.equal(configOfRun(args), null, args.join(" "));
});

Deno.test("glanceAtWorkers sees how many workers a configuration asks for", async () => {
  const auto = poolSize("auto") > 1 ? poolSize("auto") : 0;
  const texts: [string, number][] = [
    ["", auto],
    [`workers = "auto"`, auto],
    ["workers = 3", 3],
    ["workers=12 # many", 12],
    ['log_level = "info"\n  workers = 2\n[[proxy]]', 2],
    ["workers = 1", 0],
    ["[[proxy]]\nworkers = 5", auto],
    ["# workers = 5", auto],
  ];
  const dir = await Deno.makeTempDir();
  try {
    for (const [text, count] of texts) {
      const file = join(dir, "pgtls.toml");
      await Deno.writeTextFile(file, text);
      assert.equal(glanceAtWorkers(file), count, text);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("glanceAtWorkers reads nothing but files of a reasonable size", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const large = join(dir, "large.toml");
    await Deno.writeTextFile(large, `workers = 2\n${"#".repeat(1024 * 1024)}`);
    for (const path of [join(dir, "missing.toml"), dir, "/dev/zero", large]) {
      assert.equal(glanceAtWorkers(path), 0, path);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
