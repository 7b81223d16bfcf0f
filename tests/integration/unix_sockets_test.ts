/** Unix sockets on both sides: as a listener for local clients, and as the backend. */
import assert from "node:assert/strict";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { onlyClosingLine } from "../support/closing_lines.ts";
import { startCountingBackend } from "../support/counting_backend.ts";
import { PeerStream } from "../support/peer_stream.ts";
import { pgtlsCommand } from "../support/pgtls.ts";
import { startEitherPostgres, startPlainPostgres, startTlsPostgres } from "../support/postgres.ts";
import { startProcess } from "../support/process.ts";
import { startTestProxy } from "../support/proxy.ts";
import { psql } from "../support/psql.ts";
import { startupMessage } from "../support/raw_client.ts";
import { bytesOf } from "../wire/bytes.ts";
import { ca, leaf, routeTo } from "../support/two_legs.ts";

Deno.test("psql without TLS reaches a TLS backend through a unix socket, which is gone after the drain", async () => {
  await using dir = await temporaryFolder();
  await using server = await startTlsPostgres({ ca, certificate: leaf });
  const path = join(dir.path, ".s.PGSQL.6432");
  await using proxy = await startTestProxy({
    listener: { bind_address: path, tls_enabled: false },
    backend: { address: `127.0.0.1:${server.port}`, root_ca: ca.certPem },
  });
  // What may connect is decided by the mode, and that by the umask the process was started with.
  assert.equal(Deno.lstatSync(path).mode! & 0o777, 0o777 & ~Deno.umask());
  const { stdout, stderr } = await psql(`host=${dir.path} port=6432 user=alice dbname=demo`, {
    args: ["-c", "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"],
  });
  assert.equal(stdout, "t\n", stderr);
  const line = await onlyClosingLine(proxy);
  assert.deepEqual([line.client, line.reason], ["unix", "client_closed"]);
  const bound = proxy.events.flatMap((event) => event.event === "listener.bound" ? [event.address] : []);
  assert.deepEqual(bound, [path]);
  await proxy.drain(0);
  assert.throws(() => Deno.lstatSync(path), Deno.errors.NotFound);
});

Deno.test("a unix socket of a process that was killed is taken over, one in use or another file is not", async () => {
  await using dir = await temporaryFolder();
  await using backend = await startCountingBackend();
  const path = join(dir.path, ".s.PGSQL.6432");
  const route = { listener: { bind_address: path, tls_enabled: false }, backend: backend.backend };
  const inUse = /listener\.bind_address.*: Cannot listen on ".*\.s\.PGSQL\.6432": address already in use/;
  await leaveStaleSocket(dir.path, path, backend.backend.address);
  assert.ok(Deno.lstatSync(path).isSocket);
  {
    await using proxy = await startTestProxy(route);
    await assert.rejects(startTestProxy(route), inUse);
    // The attempt to listen has looked whether anybody is there.
    await proxy.closed(1);
    const client = new PeerStream(connect({ path, allowHalfOpen: true }));
    await client.send(startupMessage());
    assert.deepEqual(await client.read(1), bytesOf("R"), "the one that was first still serves");
    client.socket.destroy();
    await proxy.closed(2);
  }
  await Deno.writeTextFile(path, "somebody's file");
  await assert.rejects(startTestProxy(route), inUse);
  assert.equal(await Deno.readTextFile(path), "somebody's file");
  await Deno.remove(path);
  const other: Server = createServer();
  await new Promise<void>((resolve) => other.listen({ path }, resolve));
  await assert.rejects(startTestProxy(route), inUse);
  await new Promise((resolve) => other.close(resolve));
});

Deno.test("a unix socket in a folder that is missing is a problem of the configuration", async () => {
  await using dir = await temporaryFolder();
  const path = join(dir.path, "missing", "socket");
  const starting = startTestProxy({
    listener: { bind_address: path, tls_enabled: false },
    backend: { address: "127.0.0.1:1", tls_enabled: false },
  });
  await assert.rejects(starting, /there is no such folder, expected one that exists/);
});

Deno.test("a backend behind a unix socket is reached, in clear and in TLS with the name from the configuration", async () => {
  // PostgreSQL itself does no TLS on its unix sockets: it answers N.
  await using server = await startPlainPostgres({ hba: ["local all alice trust"] });
  const clear = { address: server.socketPath, tls_enabled: false };
  const secured = { address: server.socketPath, root_ca: ca.certPem, server_name: "localhost" };
  await using proxy = await startTestProxy(
    { listener: routeTo(1, "clear").listener, backend: clear },
    { listener: routeTo(1, "clear").listener, backend: secured },
  );
  const run = (i: number) =>
    psql(`host=127.0.0.1 port=${proxy.ports[i]} user=alice dbname=demo sslmode=require`, {
      args: ["-c", "SELECT inet_client_addr() IS NULL"],
    });
  assert.equal((await run(0)).stdout, "t\n");
  // A session ends with its backend's process, and that may take until after the next client has been refused.
  await proxy.closed(1);
  assert.match((await run(1)).stderr, /FATAL: {2}backend cannot be reached over TLS/);
  const [served, refused] = await proxy.closed(2);
  assert.deepEqual([served!.backend, refused!.reason], [server.socketPath, "backend_tls_refused"]);
});

Deno.test("pgtls behind pgtls: TLS over a unix socket, verified by name", async () => {
  await using dir = await temporaryFolder();
  await using server = await startEitherPostgres({ ca, certificate: leaf });
  const path = join(dir.path, "inner.sock");
  const { listener } = routeTo(1, "clear");
  await using inner = await startTestProxy({
    listener: { ...listener, bind_address: path, unsafe_allow_plaintext: false },
    backend: { address: `127.0.0.1:${server.port}`, root_ca: ca.certPem },
  });
  await using outer = await startTestProxy(
    { listener, backend: { address: path, root_ca: ca.certPem, server_name: "localhost" } },
    { listener, backend: { address: path, root_ca: ca.certPem, server_name: "other.test" } },
  );
  const run = (i: number) =>
    psql(`host=127.0.0.1 port=${outer.ports[i]} user=alice dbname=demo sslmode=require`, {
      args: ["-c", "SELECT 1"],
    });
  assert.equal((await run(0)).stdout, "1\n");
  await outer.closed(1);
  assert.match((await run(1)).stderr, /FATAL: {2}backend is not trusted/);
  assert.deepEqual((await outer.closed(2)).map(({ reason }) => reason), [
    "client_closed",
    "backend_untrusted",
  ]);
  await inner.closed(2);
});

/** As a pgtls that is killed leaves it. */
async function leaveStaleSocket(dir: string, path: string, backend: string): Promise<void> {
  const config = join(dir, "killed.toml");
  await Deno.writeTextFile(
    config,
    `[[proxy]]\n[proxy.listener]\nbind_address = "${path}"\ntls_enabled = false\n` +
      `[proxy.backend]\naddress = "${backend}"\ntls_enabled = false\n`,
  );
  const { command, args } = pgtlsCommand("run", "-c", config);
  await using killed = startProcess(command, args);
  await killed.waitFor(/listener\.bound/);
  await killed.stop("SIGKILL");
}

async function temporaryFolder() {
  // Short: a socket's path has at most 107 bytes.
  const path = await Deno.makeTempDir({ prefix: "pgtls-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}
