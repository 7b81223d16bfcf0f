/** The deadlines of start-up and dialling are off once a session has begun: pg_sleep outlives them all. */
import assert from "node:assert/strict";
import { startTlsPostgres } from "../support/postgres.ts";
import { onlyClosingLine } from "../support/closing_lines.ts";
import { psql18 } from "../support/psql.ts";
import { startTestProxy } from "../support/proxy.ts";
import { ca, leaf, routeTo } from "../support/two_legs.ts";

for (const negotiation of ["postgres", "direct"]) {
  Deno.test(`a query longer than startup_timeout and connect_timeout together ends by itself (sslnegotiation=${negotiation})`, async () => {
    await using server = await startTlsPostgres({ ca, certificate: leaf });
    await using proxy = await startTestProxy(
      routeTo(server.port, "TLS", {
        listener: { startup_timeout: "2s" },
        backend: { connect_timeout: "2s" },
      }),
    );
    const conninfo =
      `host=localhost hostaddr=127.0.0.1 port=${proxy.ports[0]} user=alice dbname=demo sslmode=require ` +
      `sslnegotiation=${negotiation}`;
    const { stdout, stderr } = await psql18(conninfo, {
      args: ["-c", "SELECT pg_sleep(4.5)", "-c", "SELECT 'still here'"],
    });
    assert.match(stdout, /still here\n$/, stderr);
    const line = await onlyClosingLine(proxy);
    assert.equal(line.reason, "client_closed");
    assert.ok(line.duration_ms > 4_500);
  });
}
