/**
 * `deno run -A bench/scopes.ts`: what a scope costs a connection: built alone, decided on by rules and by an app, and
 * read to the last key. In this process, without sockets; microseconds of CPU each, the median of several rounds.
 */

import process from "node:process";
import { buildPostgresqlScope, type ConnectionFacts } from "../src/scope/build.ts";
import { accept } from "../src/scope/apps/accept.ts";
import { allowRules } from "../src/scope/apps/allow_rules.ts";
import { AppRun } from "../src/scope/run_app.ts";
import type { App, PostgresqlScope } from "../src/scope/types.ts";
import { parseConfig } from "../src/config/parse.ts";
import { makeCa } from "../tests/support/pki.ts";

const ca = makeCa({ name: "CA" });
const leaf = ca.issue({ name: "alice", purpose: "client", sans: ["alice.example.com"] });

const FACTS: ConnectionFacts = {
  route: "orders",
  connection: "c-1a2b3c4d",
  client: ["203.0.113.9", 51514],
  server: ["10.0.0.5", 6432],
  parameters: new Map(
    Object.entries({ user: "alice", database: "orders", application_name: "psql", client_encoding: "UTF8" }),
  ),
  tls: {
    serverCert: leaf.der,
    clientChain: [leaf.der, ca.der],
    clientCertError: null,
    tlsVersion: 0x0304,
    cipherSuite: 0x1302,
    alpn: "postgresql",
    serverName: "db.example.com",
    resumed: false,
  },
};

/** Never aborted. */
const nobody: AbortSignal = new AbortController().signal;

async function decide(app: App, scope: PostgresqlScope): Promise<void> {
  const run = new AppRun(app, scope, { failed: console.error, revoked: console.error, graceMs: 0 });
  const { kind } = await run.decided(nobody);
  if (kind !== "accepted") throw new Error("the bench's own session was refused");
}

const WORK: Readonly<Record<string, () => unknown>> = {
  "build": () => buildPostgresqlScope(FACTS),
  "build, and an app that accepts": () => decide(accept, buildPostgresqlScope(FACTS)),
  "build, and rules for address and user": () => decide(rulesFor({}), buildPostgresqlScope(FACTS)),
  "build, and rules with a regex on the certificate": () =>
    decide(rulesFor({ client_cert_cn: "/(.*)/", users: "\\1" }), buildPostgresqlScope(FACTS)),
  "build, and read every key (PEM, name)": () => JSON.stringify(buildPostgresqlScope(FACTS)),
};

const ROUNDS = 5;
const COUNT = 5_000;

const rules = new Map<string, App>();

function rulesFor(more: Readonly<Record<string, string>>): App {
  const key = JSON.stringify(more);
  const known = rules.get(key);
  if (known) return known;
  const listener = {
    bind_address: "0.0.0.0:1",
    server_cert: "s",
    server_key: "s",
    mtls: true,
    client_ca: "c",
  };
  const allow = [{ users: "alice", client_address: "203.0.113.0/24", ...more }];
  const config = parseConfig({
    proxy: [{ listener, backend: { address: "b:1", tls_enabled: false }, allow }],
  }, {
    file: "/bench.toml",
  });
  const app = allowRules(config.routes[0]!.allow);
  rules.set(key, app);
  return app;
}

for (const [name, work] of Object.entries(WORK)) {
  const rounds: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const before = cpuMicroseconds();
    for (let i = 0; i < COUNT; i++) await work();
    // The first round warms up.
    if (round > 0) rounds.push((cpuMicroseconds() - before) / COUNT);
  }
  rounds.sort((one, other) => one - other);
  const [lowest, median, highest] = [rounds[0]!, rounds[rounds.length >> 1]!, rounds.at(-1)!];
  console.log(`${name}: ${median.toFixed(1)} µs (${lowest.toFixed(1)}–${highest.toFixed(1)})`);
}

function cpuMicroseconds(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
