/** A new auth_file is used by the next login, a broken one by nobody, and sessions that are open live on. */
import assert from "node:assert/strict";
import { makeCa } from "../support/pki.ts";
import { startTlsPostgres } from "../support/postgres.ts";
import { isEvent, listenerKeys, startTestProxy } from "../support/proxy.ts";
import { psql, startPsql } from "../support/psql.ts";
import { userlistOf } from "../support/scram.ts";

const ca = makeCa({ name: "proxy CA" });
const leaf = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost", "127.0.0.1"] });

Deno.test("a password that was changed works once auth_file has been copied again, without a restart", async () => {
  await using server = await startTlsPostgres({ method: "scram-sha-256" });
  await using proxy = await startTestProxy({
    listener: listenerKeys(leaf),
    backend: { address: `127.0.0.1:${server.port}`, root_ca: server.ca.certPem },
    auth: { mode: "scram", auth_file: await userlistOf(server) },
  });
  const connection = `host=127.0.0.1 port=${proxy.ports[0]} user=alice dbname=demo sslmode=require`;
  const login = async (password: string) => {
    const { stdout, stderr } = await psql(connection, {
      args: ["-c", "SELECT current_user"],
      env: { PGPASSWORD: password },
    });
    return stdout.trim() || stderr;
  };
  await using session = startPsql(connection, { args: ["-f", "-"], env: { PGPASSWORD: "secret" } });
  await session.write("SELECT 'first';\n");
  await session.waitFor(/first/);

  await server.query("ALTER ROLE alice PASSWORD 'changed'");
  assert.match(await login("changed"), /password authentication failed/);
  const copied = await userlistOf(server);
  await proxy.replace("route0-auth-auth_file.pem", '"alice" "changed"\n');
  const { last } = await proxy.refresh();
  assert.match(last.problems[0]?.message ?? "", /line 1: user "alice" has a plaintext password/);
  assert.ok(!JSON.stringify(proxy.events).includes('"changed"'), "the password in an event");
  assert.match(await login("changed"), /password authentication failed/);

  await proxy.replace("route0-auth-auth_file.pem", copied);
  assert.equal((await proxy.refresh()).last.ok, true);
  assert.ok(proxy.events.findLast(isEvent("tls.reloaded"))?.files.some((file) => file.includes("auth_file")));
  assert.equal(await login("changed"), "alice");
  assert.match(await login("secret"), /password authentication failed/);
  await session.write("SELECT 'still there';\n");
  await session.waitFor(/still there/);
});
