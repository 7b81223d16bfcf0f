/** The one JavaScript file starts on a Deno without its sources, serves psql, and needs no more than README says. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { EXECUTABLE_PERMISSIONS, RUN_PERMISSIONS, SYSTEMD_PERMISSIONS } from "../../tools/permissions.ts";
import { VERSION } from "../../src/version.ts";
import { freePort } from "../../src/demo/ports.ts";
import { ask } from "../support/admin_client.ts";
import { buildBundle } from "../support/bundle.ts";
import { startNotifyReceiver } from "../support/notify_receiver.ts";
import { makeCa, writeFiles } from "../support/pki.ts";
import { startMutualTlsPostgres } from "../support/postgres.ts";
import type { TestProcess } from "../support/process.ts";
import { psql } from "../support/psql.ts";

const ca = makeCa({ name: "CA" });
const server = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost"] });
const client = ca.issue({ name: "alice", purpose: "client" });

Deno.test("the bundle proxies psql with mTLS on both legs, without permission to write or to start programs", async () => {
  await using bundle = await buildBundle();
  await using postgres = await startMutualTlsPostgres();
  await using files = await configFolder(postgres);
  await using proxy = bundle.start(RUN_PERMISSIONS, ["run", "-c", files.config]);
  const port = await portOf(proxy);
  const connection = `host=localhost port=${port} user=alice dbname=demo sslmode=verify-full ` +
    `sslrootcert=${files.path("ca.pem")} sslcert=${files.path("c.pem")} sslkey=${files.path("c.key")}`;
  assert.equal((await psql(connection, { args: ["-c", "SELECT current_user"] })).stdout, "alice\n");
  const [, admin] = await proxy.waitFor(/"admin\.bound".*"address":"127\.0\.0\.1:(\d+)"/);
  const { text } = await ask(Number(admin), "/metrics");
  assert.match(text, /^pgtls_connections_total\{route="proxy\[0\]"\} 1$/m);
  assert.match(text, /^process_resident_memory_bytes \d+$/m);
  const health = await bundle.start(RUN_PERMISSIONS, ["health", `127.0.0.1:${admin}`]).exited;
  assert.deepEqual([health.code, health.stdout], [0, "HTTP/1.1 200 OK\n"]);
  assert.equal((await proxy.stop("SIGTERM")).code, 0);
});

Deno.test("the bundle tells systemd of start, reload, signs of life and drain with the permissions for it", async () => {
  await using bundle = await buildBundle();
  await using postgres = await startMutualTlsPostgres();
  await using files = await configFolder(postgres);
  await using receiver = await startNotifyReceiver();
  const flags = SYSTEMD_PERMISSIONS.map((flag) => flag.replace("/run/systemd/notify", receiver.address));
  await using proxy = bundle.start(flags, ["run", "-c", files.config], {
    env: { NOTIFY_SOCKET: receiver.address, WATCHDOG_USEC: "100000" },
  });
  assert.deepEqual(await receiver.nextWith("READY"), { READY: "1", STATUS: "Serving 1 route" });
  assert.deepEqual(await receiver.nextWith("WATCHDOG"), { WATCHDOG: "1" });

  Deno.kill(proxy.pid, "SIGHUP");
  assert.match((await receiver.nextWith("RELOADING")).MONOTONIC_USEC ?? "", /^\d+$/);
  assert.equal((await receiver.nextWith("READY")).STATUS, "Serving 1 route");
  await Deno.writeTextFile(files.config, "nonsense = 1\n", { append: true });
  Deno.kill(proxy.pid, "SIGHUP");
  await receiver.nextWith("RELOADING");
  // Not that it failed: systemd has no word for it. But it is told, and what was there serves on.
  assert.match(
    (await receiver.nextWith("READY")).STATUS ?? "",
    /^Serving 1 route, not all as asked: proxy\[0\]\.backend\.nonsense.*Cannot use/,
  );

  Deno.kill(proxy.pid, "SIGTERM");
  const { STATUS, EXTEND_TIMEOUT_USEC } = await receiver.nextWith("STOPPING");
  assert.equal(STATUS, "Draining 0 connections");
  assert.equal(EXTEND_TIMEOUT_USEC, "40000000");
  const { code, stderr } = await proxy.exited;
  assert.equal(code, 0, stderr);
  assert.doesNotMatch(stderr, /config\.warning/);
});

Deno.test("the bundle started without --unstable-net says that systemd cannot be told, and serves", async () => {
  await using bundle = await buildBundle();
  await using postgres = await startMutualTlsPostgres();
  await using files = await configFolder(postgres);
  const flags = SYSTEMD_PERMISSIONS.filter((flag) => flag !== "--unstable-net");
  await using proxy = bundle.start(flags, ["run", "-c", files.config], {
    env: { NOTIFY_SOCKET: "/run/none" },
  });
  await portOf(proxy);
  await proxy.waitFor(
    /Cannot notify the service manager at .*expected pgtls to be started with --unstable-net/,
  );
  assert.equal((await proxy.stop("SIGTERM")).code, 0);
});

Deno.test("the bundle's other commands work with the permissions of the executable", async () => {
  await using bundle = await buildBundle();
  await using postgres = await startMutualTlsPostgres();
  await using files = await configFolder(postgres);
  const command = (...args: string[]) => bundle.start(EXECUTABLE_PERMISSIONS, args).exited;
  assert.equal((await command("--version")).stdout, `pgtls ${VERSION}\n`);
  assert.match((await command("check", "-c", files.config, "--probe")).stdout, /is valid: 1 route/);
  const inspected = await command("inspect", `localhost:${postgres.port}`);
  assert.match(inspected.stdout, /CN=localhost/, inspected.stderr);
  assert.equal((await command("certs", files.path("dev"))).code, 0);
  assert.ok((await Deno.stat(files.path("dev/server.pem"))).isFile);
});

Deno.test("README shows the permissions that are tested here", async () => {
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  for (const flag of SYSTEMD_PERMISSIONS) {
    assert.ok(readme.includes(flag), `README does not show ${flag}`);
  }
});

async function configFolder(postgres: Awaited<ReturnType<typeof startMutualTlsPostgres>>) {
  const dir = await Deno.makeTempDir({ prefix: "pgtls-least-" });
  const path = (name: string) => join(dir, name);
  await writeFiles(dir, {
    "s.pem": server.chainPem,
    "s.key": server.keyPem,
    "c.pem": client.chainPem,
    "c.key": client.keyPem,
    "ca.pem": ca.certPem,
    "backend-ca.pem": postgres.ca.certPem,
    "p.pem": postgres.client.chainPem,
    "p.key": postgres.client.keyPem,
  });
  await Deno.writeTextFile(
    path("pgtls.toml"),
    `
[admin]
bind_address = "127.0.0.1:${freePort()}"
[[proxy]]
[proxy.listener]
bind_address = "127.0.0.1:0"
server_cert = "s.pem"
server_key = "s.key"
mtls = true
client_ca = "ca.pem"
[proxy.backend]
address = "localhost:${postgres.port}"
root_ca = "backend-ca.pem"
client_cert = "p.pem"
client_key = "p.key"
`,
  );
  return {
    config: path("pgtls.toml"),
    path,
    [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }),
  };
}

/** The port that the log names. */
async function portOf(proxy: TestProcess): Promise<string> {
  const [, port] = await proxy.waitFor(/"listener\.bound".*"address":"127\.0\.0\.1:(\d+)"/);
  return port!;
}
