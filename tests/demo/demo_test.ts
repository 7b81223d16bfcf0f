import assert from "node:assert/strict";
import { type DemoDependencies, runDemo } from "../../src/cli/demo.ts";
import { RunningProxy } from "../../src/proxy.ts";
import { freePort, isPortFree } from "../../src/demo/ports.ts";
import { run } from "../support/process.ts";

Deno.test("runDemo() prints a psql line that works in a shell, and removes everything at a signal", async () => {
  const port = freePort();
  const demo = startDemo({ port });
  const line = await demo.psqlLine;
  const session = await run("sh", ["-c", `${line} -X -At -c 'SELECT client_dn FROM backend_tls'`]);
  assert.equal(session.stdout.trim(), "/CN=pgtls", session.stderr);

  const plain = await run("sh", ["-c", line.replace("verify-full", "disable")]);
  assert.match(plain.stderr, /TLS/);
  const anonymous = await run("sh", [
    "-c",
    line.replace(/sslcert=\S+ sslkey=[^"\s]+/, "sslcert=/nonexistent"),
  ]);
  assert.notEqual(anonymous.code, 0);

  demo.stop();
  assert.equal(await demo.exitCode, 0);
  const dir = line.match(/sslrootcert=(\S+)\/clients\//)?.[1] ?? "";
  assert.notEqual(dir, "");
  await assert.rejects(Deno.stat(dir), Deno.errors.NotFound);
  assert.ok(isPortFree(port));
});

Deno.test("runDemo() keeps its private keys to its user", async () => {
  const demo = startDemo({ port: 0 });
  const key = (await demo.psqlLine).match(/sslkey=([^\s"]+)/)?.[1] ?? "";
  assert.equal(((await Deno.stat(key)).mode ?? 0) & 0o777, 0o600);
  assert.equal((await Deno.stat(key)).uid, Deno.uid());
  demo.stop();
  assert.equal(await demo.exitCode, 0);
});

Deno.test("runDemo() prints no psql line and fails when nobody can log in through the proxy", async () => {
  const port = freePort();
  const nobody = { addresses: [{ route: "demo", host: "127.0.0.1", port }], stop: () => Promise.resolve() };
  const demo = startDemo({ port: 0 }, () => Promise.resolve(nobody));
  assert.equal(await demo.exitCode, 1);
  assert.match(demo.output(), /Could not log in through pgtls: .*ECONNREFUSED/);
  assert.doesNotMatch(demo.output(), /^psql /m);
  await assertRemoved(demo.output());
});

Deno.test("runDemo() stops the proxy and PostgreSQL when the signal comes while it starts", async () => {
  let isProxyStopped = false;
  const demo: RunningDemo = startDemo({ port: 0 }, (file) => {
    demo.stop();
    return startRealProxy(file).then((proxy) => ({
      ...proxy,
      stop: () => proxy.stop().then(() => void (isProxyStopped = true)),
    }));
  });
  assert.equal(await demo.exitCode, 0);
  assert.ok(isProxyStopped);
  assert.doesNotMatch(demo.output(), /^psql /m);
  await assertRemoved(demo.output());
});

Deno.test("runDemo() says so when --port is taken", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const demo = startDemo({ port });
  assert.equal(await demo.exitCode, 1);
  assert.match(demo.output(), new RegExp(`Cannot listen on port ${port}`));
});

interface RunningDemo {
  readonly exitCode: Promise<number>;
  readonly psqlLine: Promise<string>;
  output(): string;
  stop(): void;
}

/** Runs the demo in this process, with its output collected. */
function startDemo(
  options: { port: number },
  proxy: DemoDependencies["startProxy"] = startRealProxy,
): RunningDemo {
  const stop = Promise.withResolvers<void>();
  const psqlLine = Promise.withResolvers<string>();
  psqlLine.promise.catch(() => {});
  let output = "";
  const collect = (text: string) => {
    output += `${text}\n`;
    const line = text.match(/^psql .*$/m)?.[0];
    if (line !== undefined) psqlLine.resolve(line);
  };
  const { log, error } = console;
  console.log = console.error = collect;
  const exitCode = runDemo(options, { startProxy: proxy, stopSignal: () => stop.promise }).finally(() => {
    Object.assign(console, { log, error });
    psqlLine.reject(new Error(`The demo ended without a psql line:\n${output}`));
    stop.resolve();
  });
  return { exitCode, psqlLine: psqlLine.promise, output: () => output, stop: () => stop.resolve() };
}

async function startRealProxy(file: string): ReturnType<DemoDependencies["startProxy"]> {
  const proxy = await RunningProxy.start(file, { observe: () => {} });
  return { addresses: proxy.addresses, stop: () => proxy.drain(0).then(() => {}) };
}

async function assertRemoved(output: string): Promise<void> {
  const dir = output.match(/^Making certificates in (.+)$/m)?.[1] ?? "";
  assert.notEqual(dir, "");
  await assert.rejects(Deno.stat(dir), Deno.errors.NotFound);
}
