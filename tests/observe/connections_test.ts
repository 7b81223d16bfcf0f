import assert from "node:assert/strict";
import { Connections } from "../../src/observe/connections.ts";
import { factsOf, lifeOf } from "./events_support.ts";

Deno.test("Connections shows an open connection with what its events have told so far", () => {
  const connections = new Connections();
  const life = lifeOf("c-1");
  const states = life.slice(0, -1).map((event) => {
    connections.observe(event);
    return connections.open.get("c-1")!.state;
  });
  assert.deepEqual(states, [
    "accepted",
    "negotiated",
    "routed",
    "secured",
    "identified",
    "started",
    "authorized",
    "connected",
    "opened",
  ]);
  const record = connections.open.get("c-1")!;
  assert.equal(record.user, "alice");
  assert.equal(record.application_name, "psql");
  assert.equal(record.backend, "db:5432");
  assert.equal(record.client_tls?.tlsVersion, 0x0304);
  assert.equal(record.closed, null);
  assert.deepEqual([...connections.closed], []);
});

Deno.test("Connections moves a closed connection to the history, and keeps what only earlier events knew", () => {
  const connections = new Connections();
  for (const event of lifeOf("c-1", { reason: "backend_lost", detail: "gone" })) connections.observe(event);
  assert.equal(connections.open.size, 0);
  const [record] = [...connections.closed];
  assert.equal(record?.application_name, "psql");
  assert.equal(record?.closed?.reason, "backend_lost");
  assert.equal(record?.closed?.detail, "gone");
  assert.equal(record?.closed?.bytes_from_backend, 200);
});

Deno.test("Connections knows the error of a client certificate that was let in under mtls = optional", () => {
  const connections = new Connections();
  const client_tls = { ...factsOf(), clientCertError: "expired" };
  for (const event of lifeOf("c-1", { client_tls }).slice(0, 5)) connections.observe(event);
  assert.equal(connections.open.get("c-1")?.client_tls?.clientCertError, "expired");
});

Deno.test("Connections knows which check a certificate failed, also after the end", () => {
  const connections = new Connections();
  const life = lifeOf("c-1", { reason: "peer_rejected", detail: "expired" });
  for (const event of life.slice(0, 4)) connections.observe(event);
  const { connection, route, client } = connections.open.get("c-1")!;
  connections.observe({
    event: "peer.rejected",
    connection,
    route,
    client,
    code: "expired",
    detail: "expired",
  });
  assert.equal(connections.open.get("c-1")?.rejection, "expired");
  connections.observe(life.at(-1)!);
  assert.deepEqual([...connections.closed].map(({ rejection }) => rejection), ["expired"]);
  assert.equal(connections.closedCount, 1);
});

Deno.test("Connections takes the route as soon as a server name has chosen it", () => {
  const connections = new Connections();
  const [accepted, negotiated] = lifeOf("c-1");
  connections.observe({ ...accepted, route: null } as typeof accepted & { route: null });
  assert.equal(connections.open.get("c-1")?.route, null);
  connections.observe(negotiated!);
  assert.equal(connections.open.get("c-1")?.route, "orders");
});

Deno.test("Connections remembers the last 1,000 of 10,000 closed connections and nothing else", () => {
  const connections = new Connections();
  for (let i = 0; i < 10_000; i++) for (const event of lifeOf(`c-${i}`)) connections.observe(event);
  const ids = [...connections.closed].map(({ connection }) => connection);
  assert.equal(ids.length, 1_000);
  assert.deepEqual([ids[0], ids.at(-1)], ["c-9000", "c-9999"]);
  assert.equal(connections.open.size, 0);
});

Deno.test("Connections keeps 10,000 clients with giant certificates and names within its bound of bytes", () => {
  const connections = new Connections();
  const client_tls = factsOf(64 * 1024);
  for (let i = 0; i < 10_000; i++) {
    const user = "é".repeat(5_000);
    for (const event of lifeOf(`c-${i}`, { client_tls, user })) connections.observe(event);
  }
  const kept = [...connections.closed];
  assert.ok(kept.length > 50 && kept.length < 150, `${kept.length} kept`);
  assert.ok(kept.every(({ user }) => user!.length < 600));
});

Deno.test("Connections does not remember health checks that connect and close", () => {
  const connections = new Connections();
  for (const event of lifeOf("c-1", { bytes_from_client: 0, client_tls: null })) connections.observe(event);
  assert.equal(connections.open.size, 0);
  assert.deepEqual([...connections.closed], []);
});

Deno.test("Connections shows the user and database that an app has chosen", () => {
  const connections = new Connections();
  const life = lifeOf("c-1");
  const chosen = { user: "readonly", database: "replica", backend_route: "orders" };
  const fields = { connection: "c-1", route: "orders", client: "203.0.113.9:51514" };
  for (const event of life.slice(0, 6)) connections.observe(event);
  connections.observe({ event: "app.accepted", ...fields, ...chosen });
  const { user, database } = connections.open.get("c-1")!;
  assert.deepEqual([user, database], ["readonly", "replica"]);
});

Deno.test("Connections makes no connection of events that come after its closing line", () => {
  const connections = new Connections();
  const life = lifeOf("c-1");
  for (const event of [...life, life[4]!]) connections.observe(event);
  assert.equal(connections.open.size, 0);
  assert.equal([...connections.closed].length, 1);
});
