/** `deno task compile`, as far as it goes without Deno's base binary, which cannot be had everywhere. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run, type RunResult } from "../support/process.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

Deno.test("compile puts the program behind the base binary that DENORT_BIN names", async () => {
  await using dir = await temporaryFolder();
  // An ELF program that only ends: what comes out of it must begin with it, and carry the program.
  const base = join(dir.path, "denort");
  await Deno.copyFile("/bin/true", base);
  const output = join(dir.path, "pgtls");
  const { code, stdout, stderr } = await compile(output, { DENORT_BIN: base });
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^Built .*\/pgtls\n$/);
  const bytes = await Deno.readFile(output);
  const baseSize = (await Deno.stat(base)).size;
  const bundleSize = (await Deno.stat(`${output}.js`)).size;
  assert.ok(bytes.length > baseSize + bundleSize, `${bytes.length} bytes`);
  assert.equal((await run(output, ["--version"])).code, 0);
  const text = new TextDecoder("latin1").decode(bytes);
  assert.ok(text.includes("SSLRequest"), "the program is not in it");
  // Deno's metadata of the executable: what it may do.
  const metadata = text.slice(text.lastIndexOf('"permissions"'));
  assert.match(metadata, /"allow_net":\s*\[\]/);
  assert.match(metadata, /"allow_run":\s*null/);
  assert.match(metadata, /"allow_ffi":\s*null/);
  assert.match(metadata, /"allow_env":\s*\[\s*"WS_NO_BUFFER_UTIL"/);
});

Deno.test("compile with a DENORT_BIN that is not there says so and ends with 1", async () => {
  await using dir = await temporaryFolder();
  const { code, stderr } = await compile(join(dir.path, "pgtls"), { DENORT_BIN: "/nonexistent/denort" });
  assert.equal(code, 1);
  assert.match(stderr, /^Could not build .*\/pgtls:\n/);
  assert.match(stderr, /DENORT_BIN is "\/nonexistent\/denort": expected the path of "denort" of Deno \d/);
  assert.doesNotMatch(stderr, /backtrace/);
});

Deno.test("compile that cannot download the base binary says what to do and ends with 1", async () => {
  await using dir = await temporaryFolder();
  const { code, stderr } = await compile(join(dir.path, "pgtls"), {
    DENO_DIR: await cacheWithoutDenort(join(dir.path, "cache")),
    // Nobody listens there: as on a machine without a way to the server.
    HTTPS_PROXY: "http://127.0.0.1:1",
  });
  assert.equal(code, 1);
  assert.match(stderr, /^Could not build .*\/pgtls:\n/);
  assert.match(stderr, /set DENORT_BIN to the path of "denort"/);
  assert.match(stderr, /pgtls\.js runs on any\s+Deno \d/);
  assert.doesNotMatch(stderr, /backtrace/);
});

async function compile(output: string, env: Record<string, string>): Promise<RunResult> {
  const { DENORT_BIN: _, ...inherited } = Deno.env.toObject();
  return await run(
    Deno.execPath(),
    ["run", "--quiet", "--allow-run", "--allow-env=DENORT_BIN", "tools/compile.ts", "--output", output],
    { cwd: ROOT, clearEnv: true, env: { ...inherited, NO_COLOR: "1", ...env } },
  );
}

/** A cache that has npm packages and the bundler, and no base binary. */
async function cacheWithoutDenort(path: string): Promise<string> {
  // Whatever bundling fetches the first time is in the machine's cache from here on.
  const first = join(path, "first.js");
  await run(Deno.execPath(), ["bundle", "--quiet", "--platform", "deno", "--output", first, "main.ts"], {
    cwd: ROOT,
  });
  const { stdout } = await run(Deno.execPath(), ["info", "--json"]);
  const { denoDir } = JSON.parse(stdout);
  await Deno.mkdir(join(path, "dl"), { recursive: true });
  await Deno.symlink(join(denoDir, "npm"), join(path, "npm"));
  for (const { name } of Deno.readDirSync(join(denoDir, "dl"))) {
    if (name.startsWith("esbuild")) await Deno.symlink(join(denoDir, "dl", name), join(path, "dl", name));
  }
  return path;
}

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await Deno.makeTempDir({ prefix: "pgtls-compile-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}
