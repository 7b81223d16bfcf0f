/** `pgtls run` as a process: what it prints, what it listens on, how it ends. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { freePort } from "../../src/demo/ports.ts";
import { makeCa, writeFiles } from "../support/pki.ts";
import { startPlainPostgres } from "../support/postgres.ts";
import { pgtls, startPgtls } from "../support/pgtls.ts";
import { psql, startPsql } from "../support/psql.ts";
import { sClient } from "../support/s_client.ts";

const ca = makeCa({ name: "CA" });
const leaf = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost"] });

Deno.test("pgtls run serves psql, and SIGTERM drains it to exit code 0", async () => {
  await using postgres = await startPlainPostgres();
  await using files = await configFolder({
    backend: `address = "127.0.0.1:${postgres.port}"\ntls_enabled = false`,
  });
  await using proxy = startPgtls("run", "-c", files.config);
  const connection = await connectionTo(proxy);
  assert.equal((await psql(connection, { args: ["-c", "SELECT 1"] })).stdout, "1\n");

  await using busy = startPsql(connection, { args: ["-c", "SELECT 'finished' FROM pg_sleep(1)"] });
  await until(async () =>
    (await postgres.query("SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(1)'")).length === 1
  );
  const stopped = proxy.stop("SIGTERM");
  assert.match((await busy.exited).stdout, /finished/);
  const { code, stderr } = await stopped;
  assert.equal(code, 0, stderr);
  const events = stderr.trim().split("\n").map((line) => JSON.parse(line).event);
  assert.deepEqual(events.slice(0, 4), ["config.loaded", "tls.loaded", "listener.bound", "server.started"]);
  assert.deepEqual(events.filter((name) => name.startsWith("server.")), [
    "server.started",
    "server.draining",
    "server.stopped",
  ]);
  assert.equal(events.filter((name) => name === "connection.closed").length, 2);
});

Deno.test("pgtls run ends at once on a second signal", async () => {
  await using postgres = await startPlainPostgres();
  await using files = await configFolder({
    backend: `address = "127.0.0.1:${postgres.port}"\ntls_enabled = false`,
  });
  await using proxy = startPgtls("run", "-c", files.config);
  await using busy = startPsql(await connectionTo(proxy), { args: ["-c", "SELECT pg_sleep(60)"] });
  await until(async () =>
    (await postgres.query("SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)'")).length === 1
  );
  Deno.kill(proxy.pid, "SIGINT");
  await proxy.waitFor(/server\.draining/);
  Deno.kill(proxy.pid, "SIGINT");
  assert.equal((await proxy.exited).code, 1);
  assert.notEqual((await busy.exited).code, 0);
});

Deno.test("pgtls run reloads on SIGHUP, log level included, and a broken file keeps it running", async () => {
  await using files = await configFolder({});
  await using proxy = startPgtls("run", "-c", files.config);
  await proxy.waitFor(/server\.started/);
  const text = await Deno.readTextFile(files.config);
  await Deno.writeTextFile(files.config, "garbage");
  Deno.kill(proxy.pid, "SIGHUP");
  await proxy.waitFor(/"config\.reload_failed".*Cannot parse TOML at line 1/);
  await Deno.writeTextFile(files.config, `log_level = "debug"\n${text.replace('"r0"', '"other"')}`);
  Deno.kill(proxy.pid, "SIGHUP");
  await proxy.waitFor(
    /"config\.reloaded".*"generation":2,"added":\["other"\],"changed":\[\],"removed":\["r0"\]/,
  );
  await proxy.waitFor(/"listener\.closed","route":"r0"/);
  const [, port] = await proxy.waitFor(/"listener\.bound","route":"other","address":"127\.0\.0\.1:(\d+)"/);
  (await Deno.connect({ hostname: "127.0.0.1", port: Number(port) })).close();
  await proxy.waitFor(/"level":"debug","event":"connection\.accepted"/);
  const { code, stderr } = await proxy.stop();
  assert.equal(code, 0, stderr);
});

Deno.test("pgtls run takes certificates that Kubernetes swaps, by itself", async () => {
  await using files = await configFolder({
    listener: 'server_cert = "tls/tls.crt"\nserver_key = "tls/tls.key"',
  });
  const folder = join(files.dir, "tls");
  const publish = async (generation: string, { chainPem, keyPem }: typeof leaf) => {
    await Deno.mkdir(join(folder, generation), { recursive: true });
    await writeFiles(join(folder, generation), { "tls.crt": chainPem, "tls.key": keyPem });
    await Deno.symlink(generation, join(folder, "..data_tmp"));
    await Deno.rename(join(folder, "..data_tmp"), join(folder, "..data"));
  };
  await publish("..1", leaf);
  for (const name of ["tls.crt", "tls.key"]) await Deno.symlink(`..data/${name}`, join(folder, name));
  await using proxy = startPgtls("run", "-c", files.config);
  const [, port] = await proxy.waitFor(/"listener\.bound".*"address":"127\.0\.0\.1:(\d+)"/);
  await publish("..2", ca.issue({ name: "renewed", purpose: "server", sans: ["localhost"] }));
  await Deno.remove(join(folder, "..1"), { recursive: true });
  await proxy.waitFor(/"tls\.reloaded","route":"r0","files":\[".*tls\.crt",".*tls\.key"\]/);
  assert.match((await sClient(Number(port))).stdout, /^subject=CN = renewed$/m);
});

Deno.test("pgtls run with an address in use names route and key, ends with 2 and leaves nothing listening", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  const free = freePort();
  await using files = await configFolder({ routes: [free, port] });
  const { code, stdout, stderr } = await pgtls("run", "-c", files.config);
  assert.equal(code, 2);
  assert.equal(stdout, "");
  assert.match(
    stderr,
    new RegExp(
      `proxy\\[1\\]\\.listener\\.bind_address \\(route "r1"\\): Cannot listen on "127\\.0\\.0\\.1:${port}": address already in use`,
    ),
  );
  assert.doesNotMatch(stderr, /proxy\[0\]|server\.started/);
  Deno.listen({ hostname: "127.0.0.1", port: free }).close();
});

Deno.test("pgtls run reports a taken admin address like a listener's, together with theirs, and leaves nothing listening", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using busy = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const free = freePort();
  await using files = await configFolder({ routes: [free, busy.addr.port] });
  const admin = `[admin]\nbind_address = "127.0.0.1:${taken.addr.port}"\n`;
  await Deno.writeTextFile(files.config, admin + await Deno.readTextFile(files.config));
  const { code, stderr } = await pgtls("run", "-c", files.config);
  assert.equal(code, 2);
  assert.match(
    stderr,
    /: 2 problems\n {2}admin\.bind_address: Cannot listen on "127\.0\.0\.1:\d+": address already in use/,
  );
  assert.match(stderr, /proxy\[1\]\.listener\.bind_address \(route "r1"\)/);
  assert.doesNotMatch(stderr, /server\.started/);
  Deno.listen({ hostname: "127.0.0.1", port: free }).close();
});

Deno.test("pgtls run and check print every problem of every route, and end with 2", async () => {
  await using files = await configFolder({
    routes: [0, 0],
    listener: 'server_cert = "gone.pem"\nserver_key = "s.key"',
  });
  for (const command of ["run", "check"]) {
    const { code, stdout, stderr } = await pgtls(command, "-c", files.config);
    assert.equal(code, 2);
    assert.equal(stdout, "");
    assert.match(stderr, /^Cannot use config ".*pgtls\.toml": 2 problems\n/);
    for (const i of [0, 1]) {
      assert.match(
        stderr,
        new RegExp(
          `proxy\\[${i}\\]\\.listener\\.server_cert \\(route "r${i}"\\): Cannot read file .*gone\\.pem`,
        ),
      );
    }
  }
});

Deno.test("pgtls check says what it would serve and binds nothing", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using files = await configFolder({ routes: [taken.addr.port] });
  const { code, stdout, stderr } = await pgtls("check", "-c", files.config);
  assert.equal(code, 0, stderr);
  assert.match(
    stdout,
    /is valid: 1 route\n {2}r0: 127\.0\.0\.1:\d+ \(TLS, mtls = false\) -> 127\.0\.0\.1:1 \(plaintext\)/,
  );
});

interface ConfigParts {
  readonly routes?: readonly number[];
  readonly listener?: string;
  readonly backend?: string;
}

async function configFolder(
  parts: ConfigParts,
): Promise<AsyncDisposable & { readonly dir: string; readonly config: string }> {
  const dir = await Deno.makeTempDir({ prefix: "pgtls-run-" });
  await writeFiles(dir, { "s.pem": leaf.chainPem, "s.key": leaf.keyPem });
  const { routes = [0], listener = 'server_cert = "s.pem"\nserver_key = "s.key"', backend } = parts;
  const text = routes.map((port, i) => `
[[proxy]]
name = "r${i}"
[proxy.listener]
bind_address = "127.0.0.1:${port}"
${listener}
[proxy.backend]
${backend ?? 'address = "127.0.0.1:1"\ntls_enabled = false'}
`);
  const config = join(dir, "pgtls.toml");
  await Deno.writeTextFile(config, text.join(""));
  return { dir, config, [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }) };
}

/** The connection string for the port that the log names. */
async function connectionTo(proxy: { waitFor(pattern: RegExp): Promise<RegExpMatchArray> }): Promise<string> {
  const [, port] = await proxy.waitFor(/"listener\.bound".*"address":"127\.0\.0\.1:(\d+)"/);
  return `host=127.0.0.1 port=${port} user=alice dbname=demo sslmode=require`;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !await condition(); tries++) {
    assert.ok(tries < 3_000, "the condition never held");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
