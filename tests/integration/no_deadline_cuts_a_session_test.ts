/** The deadlines of start-up and dialling are off once a session has begun: pg_sleep outlives them all. */
import assert from "node:assert/strict";
import { startTlsPostgres } from "../support/postgres.ts";
import { closingLines } from "../support/closing_lines.ts";
import { psql18 } from "../support/psql.ts";
import { startTestProxy } from "../support/proxy.ts";
import { ca, leaf, routeTo } from "../support/two_legs.ts";

Deno.test("a query longer than startup_timeout and connect_timeout together ends by itself", async () => {
  await using server = await startTlsPostgres({ ca, certificate: leaf });
  await using proxy = await startTestProxy(
    routeTo(server.port, "TLS", {
      listener: { startup_timeout: "4s" },
      backend: { connect_timeout: "4s" },
    }),
  );
  // Both at once: they wait.
  await Promise.all(["postgres", "direct"].map(async (negotiation) => {
    const conninfo =
      `host=localhost hostaddr=127.0.0.1 port=${proxy.ports[0]} user=alice dbname=demo sslmode=require ` +
      `sslnegotiation=${negotiation}`;
    const { stdout, stderr } = await psql18(conninfo, {
      args: ["-c", "SELECT pg_sleep(8.5)", "-c", "SELECT 'still here'"],
    });
    assert.match(stdout, /still here\n$/, `${negotiation}: ${stderr}`);
  }));
  const lines = await closingLines(proxy);
  assert.deepEqual(lines.map(({ reason }) => reason), ["client_closed", "client_closed"]);
  for (const { duration_ms } of lines) assert.ok(duration_ms > 8_500, `${duration_ms} ms`);
});
