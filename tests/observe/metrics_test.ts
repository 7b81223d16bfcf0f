import assert from "node:assert/strict";
import type { LiveBytes, PgtlsEvent, RelayedBytes } from "../../src/observe/events.ts";
import { Observation } from "../../src/observe/observation.ts";
import { freshlyLoaded, type ReloadState } from "../../src/observe/reload_state.ts";
import { parseExposition, valueOf } from "../support/prometheus.ts";
import { factsOf, lifeOf } from "./events_support.ts";

Deno.test("Metrics are an exposition in which every pgtls metric is documented with the same meaning", async () => {
  const { observation, scrape } = observed();
  await scrape();
  const docs = await Deno.readTextFile(new URL("../../docs/metrics.md", import.meta.url));
  const documented = [...docs.matchAll(/^\| `([a-z_]+)`/gm)].map(([, name]) => name);
  const own = observation.metrics.describe().map(({ name }) => name);
  assert.deepEqual(documented.toSorted(), own.toSorted());
  assert.deepEqual(documented, [...new Set(documented)]);
});

Deno.test("Metrics of a configured route are there at zero before its first client, so that no rate misses it", async () => {
  const seen = await observed().scrape();
  const route = { route: "orders" };
  const zeros: readonly (readonly [string, Record<string, string>])[] = [
    ["pgtls_connections_open", {}],
    ["pgtls_connections_total", {}],
    ["pgtls_connections_closed_total", { reason: "client_closed" }],
    ["pgtls_connections_turned_away_total", {}],
    ["pgtls_relay_bytes_total", { direction: "from_client" }],
    ["pgtls_relay_bytes_total", { direction: "from_backend" }],
    ["pgtls_cancel_requests_total", { encrypted: "true" }],
    ["pgtls_handshake_seconds_count", {}],
    ["pgtls_backend_connect_seconds_count", {}],
    ["pgtls_connection_seconds_count", {}],
    ...["accepted", "rejected", "failed", "rule_denied"].map((decision) =>
      ["pgtls_app_decisions_total", { decision }] as const
    ),
  ];
  const all = [...seen.values()].flatMap(({ samples }) => samples);
  for (const [name, labels] of zeros) {
    const wanted = Object.entries({ ...route, ...labels });
    const found = all.filter((sample) =>
      sample.name === name && wanted.every(([label, value]) => sample.labels[label] === value)
    );
    assert.deepEqual(found.map(({ value }) => value), [0], name);
  }
});

Deno.test("Metrics keep what was counted before the first scrape", async () => {
  const { observation, scrape } = observed();
  lifeOf("c-1").forEach(observation.observe);
  const seen = await scrape();
  assert.equal(valueOf(seen, "pgtls_handshake_seconds_count", { route: "orders" }), 1);
  assert.equal(valueOf(seen, "pgtls_connection_seconds_count", { route: "orders" }), 1);
});

Deno.test("Metrics count a session by route, and forget nothing when it closes", async () => {
  const { observation, scrape } = observed();
  const life = lifeOf("c-1");
  life.slice(0, -1).forEach(observation.observe);
  const during = await scrape();
  assert.equal(valueOf(during, "pgtls_connections_open", { route: "orders" }), 1);
  assert.equal(valueOf(during, "pgtls_connections_total", { route: "orders" }), 1);
  observation.observe(life.at(-1)!);
  const after = await scrape();
  assert.equal(valueOf(after, "pgtls_connections_open", { route: "orders" }), 0);
  assert.equal(valueOf(after, "pgtls_connections_total", { route: "orders" }), 1);
  const labels = { route: "orders", reason: "client_closed" };
  assert.equal(valueOf(after, "pgtls_connections_closed_total", labels), 1);
  assert.equal(valueOf(after, "pgtls_handshake_seconds_count", { route: "orders" }), 1);
  assert.equal(valueOf(after, "pgtls_handshake_seconds_sum", { route: "orders" }), 0.002);
  assert.equal(valueOf(after, "pgtls_backend_connect_seconds_sum", { route: "orders" }), 0.003);
  const handshake = { route: "orders", tls_version: "1.3", resumed: "false" };
  assert.equal(valueOf(after, "pgtls_handshakes_total", handshake), 1);
});

Deno.test("Metrics count a connection once its route is known, and at the latest when it closes", async () => {
  const { observation, scrape } = observed();
  const unrouted = (event: PgtlsEvent) => ({ ...event, route: null }) as PgtlsEvent;
  const [accepted, negotiated, ...rest] = lifeOf("c-1");
  observation.observe(unrouted(accepted!));
  assert.equal(valueOf(await scrape(), "pgtls_connections_total"), 0);
  [negotiated!, ...rest].forEach(observation.observe);
  assert.equal(valueOf(await scrape(), "pgtls_connections_total", { route: "orders" }), 1);
  [accepted!, rest.at(-1)!].map(unrouted).forEach(observation.observe);
  assert.equal(valueOf(await scrape(), "pgtls_connections_total", { route: "" }), 1);
});

Deno.test("pgtls_relay_bytes_total moves during a session, never goes back, and ends at the closing line", async () => {
  const { observation, scrape, live } = observed();
  const life = lifeOf("c-1");
  life.slice(0, -1).forEach(observation.observe);
  const seen: number[] = [];
  for (const from_client of [0, 10, 60, 60, 50]) {
    live.set("c-1", { from_client, from_backend: 2 * from_client });
    seen.push(valueOf(await scrape(), NAME, FROM_CLIENT));
  }
  assert.deepEqual(seen, [0, 10, 60, 60, 60]);
  observation.observe(life.at(-1)!);
  // The data path may still say something about it, and about others nobody has heard of.
  live.set("c-unknown", { from_client: 7, from_backend: 7 });
  const after = await scrape();
  assert.equal(valueOf(after, NAME, FROM_CLIENT), 100);
  assert.equal(valueOf(after, NAME, { route: "orders", direction: "from_backend" }), 200);
});

Deno.test("Metrics grow by no sample with users, databases, addresses and connections", async () => {
  const { observation, scrape } = observed();
  const sizes: number[] = [];
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 500; i++) {
      const id = `c-${round}-${i}`;
      for (const event of lifeOf(id, { user: `user${id}`, database: `db${id}`, backend: `${id}:5432` })) {
        observation.observe({ ...event, client: `203.0.113.9:${i}` } as PgtlsEvent);
      }
    }
    sizes.push([...(await scrape()).values()].reduce((sum, { samples }) => sum + samples.length, 0));
  }
  assert.equal(sizes[0], sizes[1]);
});

Deno.test("Metrics count refusals by code, and lost logs and reloads as they are", async () => {
  const { observation, scrape, state } = observed();
  const fields = { connection: "c-1", route: "orders", client: "203.0.113.9:1" };
  observation.observe({ event: "peer.rejected", ...fields, code: "expired", detail: "" });
  observation.observe({ event: "backend.failed", ...fields, reason: "backend_untrusted", detail: "" });
  observation.observe({ event: "connection.refused", route: "orders", count: 17, detail: "" });
  state.value = {
    generation: 3,
    last: { ok: false, at: 5_000, problems: [{ path: "", message: "", file: null }] },
    succeededAt: 4_000,
  };
  const seen = await scrape();
  const rejected = { route: "orders", code: "expired" };
  assert.equal(valueOf(seen, "pgtls_client_certificates_rejected_total", rejected), 1);
  const failed = { route: "orders", reason: "backend_untrusted" };
  assert.equal(valueOf(seen, "pgtls_backend_failures_total", failed), 1);
  assert.equal(valueOf(seen, "pgtls_connections_turned_away_total", { route: "orders" }), 17);
  assert.equal(valueOf(seen, "pgtls_tls_last_reload_successful"), 0);
  assert.equal(valueOf(seen, "pgtls_tls_last_reload_success_timestamp_seconds"), 4);
  assert.equal(valueOf(seen, "pgtls_generation"), 3);
  assert.ok(valueOf(seen, "process_resident_memory_bytes") > 10_000_000);
  assert.ok(valueOf(seen, "process_open_fds") > 2);
});

Deno.test("Metrics count what apps and rules have decided", async () => {
  const { observation, scrape } = observed();
  const fields = { connection: "c-1", route: "orders", client: "203.0.113.9:1" };
  const accepted = { user: "alice", database: "demo", backend_route: "orders" };
  observation.observe({ event: "app.accepted", ...fields, ...accepted });
  observation.observe({ event: "app.rejected", ...fields, sqlstate: "28000", message: "no", detail: null });
  observation.observe({ event: "app.failed", ...fields, detail: "threw" });
  observation.observe({ event: "app.failed", ...fields, detail: "threw" });
  observation.observe({ event: "rule.denied", ...fields, detail: "no rule" });
  const seen = await scrape();
  const decisions = { accepted: 1, rejected: 1, failed: 2, rule_denied: 1 };
  for (const [decision, count] of Object.entries(decisions)) {
    assert.equal(valueOf(seen, "pgtls_app_decisions_total", { route: "orders", decision }), count, decision);
  }
});

Deno.test("Metrics survive a route name full of what the text format escapes", async () => {
  const { observation, scrape } = observed('a\\b {x="y"},');
  for (const event of lifeOf("c-1", { client_tls: factsOf() })) {
    observation.observe({ ...event, route: 'a\\b {x="y"},' } as PgtlsEvent);
  }
  assert.equal(valueOf(await scrape(), "pgtls_connections_total", { route: 'a\\b {x="y"},' }), 1);
});

/** An observation of one route, what its data path says, and a way to scrape it. */
function observed(name = "orders") {
  const live = new Map<string, RelayedBytes>();
  const liveBytes: LiveBytes = () => Promise.resolve(live);
  const state: { value: ReloadState } = { value: freshlyLoaded() };
  const observation = new Observation({
    liveBytes,
    routes: () => [{ name, limit: 0 }],
    reloadState: () => state.value,
    workers: () => 1,
  });
  const scrape = async () => parseExposition(await observation.metrics.render());
  return { observation, live, state, scrape };
}

const NAME = "pgtls_relay_bytes_total";
const FROM_CLIENT = { route: "orders", direction: "from_client" };
