/** New certificates and CAs on both legs, again and again, while clients connect, query and disconnect: nothing fails. */
import assert from "node:assert/strict";
import pg from "pg";
import { until } from "../support/closing_lines.ts";
import { makeCa } from "../support/pki.ts";
import { startMutualTlsPostgres } from "../support/postgres.ts";
import { isEvent, listenerKeys, startTestProxy } from "../support/proxy.ts";

const ROTATIONS = 20;
const server = { name: "localhost", purpose: "server", sans: ["localhost"] } as const;

Deno.test("certificates rotate under load and nothing is lost", async () => {
  await using postgres = await startMutualTlsPostgres();
  const ca = makeCa({ name: "CA" });
  const clientCas = [makeCa({ name: "client CA 1" }), makeCa({ name: "client CA 2" })] as const;
  const alice = clientCas[0].issue({ name: "alice", purpose: "client" });
  await using proxy = await startTestProxy({
    listener: listenerKeys(ca.issue(server), clientCas[0]),
    backend: {
      address: `localhost:${postgres.port}`,
      root_ca: postgres.ca.certPem,
      client_cert: postgres.client.chainPem,
      client_key: postgres.client.keyPem,
    },
  });
  const options = {
    host: "localhost",
    port: proxy.port("route0"),
    user: "alice",
    database: "demo",
    ssl: { ca: ca.certPem, cert: alice.chainPem, key: alice.keyPem },
  };
  const lasting = await Promise.all([1, 2].map(() => connect(options)));
  const served = new Set<string>();
  let isOver = false;
  const sessions = [0, 0, 0];
  const load = [
    ...lasting.map((client) => queryUntil(client, () => isOver)),
    ...sessions.keys().map(async (i) => {
      for (; !isOver; sessions[i]!++) {
        const client = await connect(options);
        served.add(client.serial);
        await client.query("SELECT 1");
        await client.end();
      }
      return sessions[i]!;
    }),
  ];
  for (let i = 0; i < ROTATIONS; i++) {
    const leaf = ca.issue(server);
    const backendClient = postgres.clientCa.issue({ name: "pgtls", purpose: "client" });
    await proxy.replace("route0-listener-server_cert.pem", leaf.chainPem);
    await proxy.replace("route0-listener-server_key.pem", leaf.keyPem);
    // The old CA stays in the bundle, as in any rotation that is not to turn away whom it is about.
    await proxy.replace(
      "route0-listener-client_ca.pem",
      clientCas[0].certPem + (i % 2 ? clientCas[1].certPem : ""),
    );
    await proxy.replace("route0-backend-client_cert.pem", backendClient.chainPem);
    await proxy.replace("route0-backend-client_key.pem", backendClient.keyPem);
    const { last: { ok }, generation } = await (i % 2 ? proxy.reload() : proxy.refresh());
    assert.deepEqual([ok, generation], [true, i + 2]);
    // The second that each of them begins from here on is on the new certificate, whenever it began the first.
    const before = [...sessions];
    await until(
      () => sessions.every((count, i) => count >= before[i]! + 2),
      "connections on the new certificate",
    );
  }
  isOver = true;
  const done = await Promise.all(load);
  assert.ok(done.every((count) => count > ROTATIONS), `${done}`);
  assert.ok(served.size >= ROTATIONS, `only ${served.size} certificates were seen`);
  await Promise.all(lasting.map((client) => client.end()));
  await until(() => proxy.connections() === 0, "all to be closed");
  const reasons = new Set(proxy.events.filter(isEvent("connection.closed")).map(({ reason }) => reason));
  assert.deepEqual(reasons, new Set(["client_closed"]));
});

async function queryUntil(client: pg.Client, isOver: () => boolean): Promise<number> {
  let queries = 0;
  for (; !isOver(); queries++) {
    const { rows } = await client.query("SELECT $1::int AS i", [queries]);
    assert.equal(rows[0].i, queries);
  }
  return queries;
}

/** A client that knows the serial number of the certificate it was served with. */
async function connect(options: pg.ClientConfig): Promise<pg.Client & { serial: string }> {
  const client = new pg.Client(options);
  await client.connect();
  const { stream } =
    (client as unknown as { connection: { stream: import("node:tls").TLSSocket } }).connection;
  return Object.assign(client, { serial: stream.getPeerCertificate().serialNumber });
}
