/** What anybody can use up, as a process sees it: its descriptors, and the reader of its log. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { freePort } from "../../src/demo/ports.ts";
import { pgtlsCommand } from "../support/pgtls.ts";
import { makeCa, writeFiles } from "../support/pki.ts";
import { startProcess } from "../support/process.ts";
import { startPlainPostgres } from "../support/postgres.ts";
import { psql } from "../support/psql.ts";
import { connectRaw } from "../support/raw_client.ts";
import { until } from "../support/closing_lines.ts";
import { SSL_REQUEST } from "../wire/bytes.ts";

const ca = makeCa({ name: "CA" });
const leaf = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost"] });

Deno.test("a flood of connections past the limit of open files is turned away, and the listener survives it", async () => {
  await using postgres = await startPlainPostgres();
  await using files = await configFolder(postgres.port);
  const { command, args } = pgtlsCommand("run", "-c", files.config);
  await using proxy = startProcess("prlimit", ["--nofile=100", command, ...args], {
    env: { NO_COLOR: "1" },
  });
  const port = await portOf(proxy);
  const clients = await Promise.all(Array.from({ length: 150 }, () => connectRaw(port)));
  await proxy.waitFor(/"level":"warn","event":"connection\.refused".*No file descriptors left.*ulimit -n/);
  for (const client of clients) await client[Symbol.asyncDispose]();
  const connection = `host=127.0.0.1 port=${port} user=alice dbname=demo sslmode=require connect_timeout=5`;
  await until(
    async () => (await psql(connection, { args: ["-c", "SELECT 1"] })).stdout === "1\n",
    "a session",
  );
  assert.equal((await proxy.stop()).code, 0);
});

Deno.test("a limit of open files that is lowered under the running process kills no listener", async (t) => {
  await using postgres = await startPlainPostgres();
  for (const workers of [1, 2]) {
    await t.step(`workers = ${workers}`, async () => {
      await using files = await configFolder(postgres.port, workers);
      const { command, args } = pgtlsCommand("run", "-c", files.config);
      await using proxy = startProcess(command, args, { env: { NO_COLOR: "1" } });
      const port = await portOf(proxy);
      await proxy.waitFor(/"event":"server\.started"/);
      const limit = [...Deno.readDirSync(`/proc/${proxy.pid}/fd`)].length + 8;
      await limitFiles(proxy.pid, limit);
      const clients = await Promise.all(Array.from({ length: 60 }, () => connectRaw(port)));
      // Long enough for accept to have met the limit, and for the process to have seen that it did.
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      for (const client of clients) await client[Symbol.asyncDispose]();
      await limitFiles(proxy.pid, 1_024);
      const connection =
        `host=127.0.0.1 port=${port} user=alice dbname=demo sslmode=require connect_timeout=2`;
      await until(
        async () => (await psql(connection, { args: ["-c", "SELECT 1"] })).stdout === "1\n",
        "a session",
      );
      await using stack = new AsyncDisposableStack();
      await serveInARow(stack, port, 200);
      assert.equal((await proxy.stop()).code, 0);
    });
  }
});

Deno.test("a limit of open files that is raised under the running process lets more connections in", async (t) => {
  await using postgres = await startPlainPostgres();
  for (const workers of [1, 2]) {
    await t.step(`workers = ${workers}`, async () => {
      await using files = await configFolder(postgres.port, workers);
      const { command, args } = pgtlsCommand("run", "-c", files.config);
      await using proxy = startProcess(command, args, { env: { NO_COLOR: "1" } });
      const port = await portOf(proxy);
      await using stack = new AsyncDisposableStack();
      await proxy.waitFor(/"event":"server\.started"/);
      // So many that it tries how many files there are well before it meets the limit.
      await limitFiles(proxy.pid, 160);
      for (let i = 0; i < 100; i++) stack.use(await connectRaw(port));
      await proxy.waitFor(/"event":"connection\.refused"/);
      await limitFiles(proxy.pid, 1_024);
      await serveInARow(stack, port, 100);
      assert.equal((await proxy.stop()).code, 0);
    });
  }
});

Deno.test("a log that nobody reads stops neither sessions nor the drain", async () => {
  await using postgres = await startPlainPostgres();
  // One isolate: with workers the port is tried out once before it is listened on.
  await using files = await configFolder(postgres.port, 1);
  const { command, args } = pgtlsCommand("run", "-c", files.config);
  const port = freePort();
  await Deno.writeTextFile(
    files.config,
    (await Deno.readTextFile(files.config)).replace("127.0.0.1:0", `127.0.0.1:${port}`),
  );
  const child = new Deno.Command(command, { args, stdin: "null", stdout: "null", stderr: "piped" }).spawn();
  try {
    await until(() => isListening(port), "the listener");
    // Each writes a closing line of some 500 bytes; a pipe holds 64 KB.
    for (let i = 0; i < 300; i++) {
      await using client = await connectRaw(port);
      await client.send(new TextEncoder().encode("GET / HTTP/1.0\r\n\r\n"));
      await client.readAll();
    }
    const { stdout, stderr } = await psql(
      `host=127.0.0.1 port=${port} user=alice dbname=demo sslmode=require`,
      {
        args: ["-c", "SELECT 'still served'"],
      },
    );
    assert.equal(stdout, "still served\n", stderr);
    child.kill("SIGTERM");
    assert.equal((await child.status).code, 0);
  } finally {
    await child.stderr.cancel();
    await child.status;
  }
});

/** Sets the soft limit of open files of a running process. */
async function limitFiles(pid: number, limit: number): Promise<void> {
  const args = [`--pid=${pid}`, `--nofile=${limit}:`];
  assert.ok((await new Deno.Command("prlimit", { args }).output()).success);
}

/** Until so many have been served one after the other: a listener that is bound anew may turn one away. They all stay. */
async function serveInARow(stack: AsyncDisposableStack, port: number, count: number): Promise<void> {
  let served = 0;
  await until(async () => {
    served = await isServed(stack, port) ? served + 1 : 0;
    return served === count;
  }, `${count} to be served in a row`);
}

async function isServed(stack: AsyncDisposableStack, port: number): Promise<boolean> {
  try {
    const client = stack.use(await connectRaw(port));
    await client.send(SSL_REQUEST);
    return (await client.read(1))[0] === "S".charCodeAt(0);
  } catch {
    return false;
  }
}

async function configFolder(backendPort: number, workers: number | "auto" = "auto") {
  const dir = await Deno.makeTempDir({ prefix: "pgtls-exhaustion-" });
  await writeFiles(dir, { "s.pem": leaf.chainPem, "s.key": leaf.keyPem });
  const config = join(dir, "pgtls.toml");
  await Deno.writeTextFile(
    config,
    `workers = ${JSON.stringify(workers)}

[[proxy]]
[proxy.listener]
bind_address = "127.0.0.1:0"
server_cert = "s.pem"
server_key = "s.key"
[proxy.backend]
address = "127.0.0.1:${backendPort}"
tls_enabled = false
`,
  );
  return { config, [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }) };
}

async function portOf(proxy: { waitFor(pattern: RegExp): Promise<RegExpMatchArray> }): Promise<number> {
  const [, port] = await proxy.waitFor(/"listener\.bound".*"address":"127\.0\.0\.1:(\d+)"/);
  return Number(port);
}

async function isListening(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch {
    return false;
  }
}
