/** Shipped apps in a policy file, before a real PostgreSQL, which is asked what it was told. */
import assert from "node:assert/strict";
import { until } from "../support/closing_lines.ts";
import { type Leaf, makeCa } from "../support/pki.ts";
import { type PostgresServer, startPlainPostgres } from "../support/postgres.ts";
import { isEvent, listenerKeys, startTestProxy } from "../support/proxy.ts";
import { connectRawTls } from "../support/raw_client.ts";
import { packetOf, PROTOCOL_3_0 } from "../wire/bytes.ts";

const ca = makeCa({ name: "CA" });
const server = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost"] });
const alice = ca.issue({ name: "alice", purpose: "client" });

const SHIPPED = new URL("../../src/scope/mod.ts", import.meta.url).href;

const POLICY = `
  import { allowNames, type App, audit, compose, nameApplication } from "${SHIPPED}";
  const lines: string[] = (globalThis as unknown as { audited: string[] }).audited ??= [];
  const app: App = compose([audit((line) => void lines.push(line)), nameApplication()]);
  export default app;
`;

/** What a client says to be taken for an administrator, and what PostgreSQL must show instead. */
const IMITATIONS: Readonly<Record<string, readonly [parameters: string, anonymous: string, named: string]>> =
  {
    "its name": ["application_name\0[CN=admin] psql\0", "(CN=admin) psql", "[CN=alice] (CN=admin) psql"],
    "its name in capitals": ["APPLICATION_NAME\0[CN=admin] psql\0", "", "[CN=alice]"],
    "its name twice": ["application_name\0x\0Application_Name\0[CN=admin]\0", "x", "[CN=alice] x"],
    "options": ["options\0-c application_name=[CN=admin]\0", "", "[CN=alice]"],
    "options with two dashes": ["options\0--APPLICATION_NAME=[CN=admin]\0", "", "[CN=alice]"],
  };

Deno.test("pg_stat_activity shows the verified name, whatever the client calls itself", async (t) => {
  await using postgres = await startPlainPostgres();
  await using proxy = await startTestProxy({
    app: POLICY,
    listener: { ...listenerKeys(server, ca), mtls: "optional" },
    backend: { address: `127.0.0.1:${postgres.port}`, tls_enabled: false },
  });
  for (const [what, [parameters, anonymous, named]] of Object.entries(IMITATIONS)) {
    await t.step(what, async () => {
      assert.equal(await shownFor(postgres, proxy.ports[0]!, parameters), anonymous);
      assert.equal(await shownFor(postgres, proxy.ports[0]!, parameters, alice), named);
    });
  }
  const audited = () => (globalThis as unknown as { audited: string[] }).audited;
  const count = 2 * Object.keys(IMITATIONS).length;
  await until(() => audited().length === count, "a line for each session");
  const names = audited().map((line) => JSON.parse(line).client_cert_name);
  assert.deepEqual(new Set(names), new Set([null, "CN=alice"]));
  assert.deepEqual(proxy.events.filter(isEvent("app.failed")), []);
});

async function shownFor(
  postgres: PostgresServer,
  port: number,
  parameters: string,
  certificate?: Leaf,
): Promise<unknown> {
  await using client = await connectRawTls(port, certificate ? { certificate } : {});
  await client.send(packetOf(PROTOCOL_3_0, `user\0alice\0database\0demo\0${parameters}\0`));
  let shown: Record<string, unknown>[] = [];
  await until(async () => {
    shown = await postgres.query(
      "SELECT application_name FROM pg_stat_activity WHERE usename = 'alice' AND state = 'idle'",
    );
    return shown.length === 1;
  }, "the session");
  client.end();
  await client.readAll();
  await until(
    async () => (await postgres.query("SELECT 1 FROM pg_stat_activity WHERE usename = 'alice'")).length === 0,
    "the session to end",
  );
  return shown[0]!["application_name"];
}
