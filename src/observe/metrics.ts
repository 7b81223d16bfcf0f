/**
 * Prometheus metrics, from events and from what is asked at the moment of a scrape.
 *
 * Names are an interface: docs/metrics.md lists them, and a test holds the two together. Labels are bounded by the
 * configuration and by our own vocabularies; a user, a database or an address is never one.
 */

import { Registry } from "prom-client";
import type { TlsFacts } from "../tls/record.ts";
import { VERSION } from "../version.ts";
import { certificateEnds } from "./certificate_ends.ts";
import type { Certificates } from "./certificates.ts";
import type { Connections } from "./connections.ts";
import type { LiveBytes, PgtlsEvent } from "./events.ts";
import { droppedLogLines } from "./log.ts";
import { makeCounters, makeGauges } from "./metric_table.ts";
import { addProcessMetrics } from "./process_metrics.ts";
import { RelayBytes } from "./relay_bytes.ts";
import type { ReloadState } from "./reload_state.ts";

/** What is asked at each scrape. */
export interface MetricsSources {
  readonly connections: Connections;
  readonly certificates: Certificates;
  readonly liveBytes: LiveBytes;
  /** The routes as configured now; `limit` 0 = none. */
  readonly routes: () => readonly { readonly name: string; readonly limit: number }[];
  readonly reloadState: () => ReloadState;
  /** Isolates that serve connections. */
  readonly workers: () => number;
}

/** The metrics of this process, with a registry of their own. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #sources: MetricsSources;
  readonly #counters: ReturnType<typeof makeCounters>;
  readonly #gauges: ReturnType<typeof makeGauges>;
  readonly #relayBytes: RelayBytes;
  /** Connections that are not counted yet because their route is not known yet. */
  readonly #unrouted = new Set<string>();
  /** Routes whose counters are there. */
  readonly #begun = new Set<string>();

  constructor(sources: MetricsSources) {
    this.#sources = sources;
    this.#counters = makeCounters([this.#registry]);
    this.#gauges = makeGauges([this.#registry]);
    addProcessMetrics([this.#registry]);
    this.#relayBytes = new RelayBytes((route, direction, bytes) => {
      this.#counters.relayBytes.inc({ route, direction }, bytes);
    });
    this.#gauges.buildInfo.set({ version: VERSION, deno: Deno.version.deno }, 1);
  }

  /** `Content-Type` of what {@linkcode render} gives. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Every metric's name, type and help, for the documentation. */
  describe(): readonly { readonly name: string; readonly help: string }[] {
    return this.#registry.getMetricsAsArray().map(({ name, help }) => ({ name, help }));
  }

  /** The text exposition format, all values of this moment. */
  async render(): Promise<string> {
    const { connections, liveBytes } = this.#sources;
    this.#relayBytes.look(await liveBytes(), connections.open);
    this.#setGauges();
    return await this.#registry.metrics();
  }

  /** Takes an event, after `connections` has. */
  observe(event: PgtlsEvent): void {
    const counters = this.#counters;
    if ("connection" in event) this.#countRouted(event.connection, event.route, event.event);
    const route = ("route" in event ? event.route : null) ?? "";
    if (route !== "") this.#startAtZero(route);
    switch (event.event) {
      case "connection.refused":
        return counters.turnedAway.inc({ route }, event.count);
      case "handshake.completed":
        if (event.tls === null) return;
        counters.handshakeSeconds.observe({ route }, event.duration_ms / 1000);
        return counters.handshakes.inc({ route, ...handshakeLabels(event.tls) });
      case "peer.rejected":
        return counters.certificatesRejected.inc({ route, code: event.code });
      case "app.accepted":
      case "app.rejected":
      case "app.failed":
      case "rule.denied":
        return counters.decisions.inc({ route, decision: DECISIONS[event.event] });
      case "cancel.received":
        return counters.cancels.inc({ route, encrypted: String(event.encrypted) });
      case "backend.connected":
        return counters.backendConnectSeconds.observe({ route }, event.duration_ms / 1000);
      case "backend.failed":
        return counters.backendFailures.inc({ route, reason: event.reason });
      case "connection.closed":
        counters.closed.inc({ route, reason: event.reason });
        counters.connectionSeconds.observe({ route }, event.duration_ms / 1000);
        return this.#relayBytes.closed(event);
      case "admin.refused":
        return counters.adminRefused.inc();
    }
  }

  /** Counts a request to the admin server; `path` is one it knows, or `""`. */
  countRequest(path: string, status: number): void {
    this.#counters.adminRequests.inc({ path, status: String(status) });
  }

  /** Counts a WebSocket that was dropped because its client did not read. */
  countDropped(): void {
    this.#counters.adminDropped.inc();
  }

  #countRouted(connection: string, route: string | null, event: PgtlsEvent["event"]): void {
    const isNew = event === "connection.accepted";
    if (isNew && route === null) return void this.#unrouted.add(connection);
    if (!isNew && !this.#unrouted.has(connection)) return;
    if (route === null && event !== "connection.closed") return;
    this.#unrouted.delete(connection);
    this.#counters.connections.inc({ route: route ?? "" });
  }

  /** A rate over a counter that comes into being with its first event misses that event. Before any other is counted. */
  #startAtZero(route: string): void {
    if (this.#begun.has(route)) return;
    this.#begun.add(route);
    const counters = this.#counters;
    counters.connections.inc({ route }, 0);
    counters.turnedAway.inc({ route }, 0);
    for (const reason of EXPECTED_REASONS) counters.closed.inc({ route, reason }, 0);
    counters.backendFailures.inc({ route, reason: "backend_untrusted" }, 0);
    for (const direction of ["from_client", "from_backend"]) counters.relayBytes.inc({ route, direction }, 0);
    for (const decision of Object.values(DECISIONS)) counters.decisions.inc({ route, decision }, 0);
    for (const encrypted of ["true", "false"]) counters.cancels.inc({ route, encrypted }, 0);
    counters.connectionSeconds.zero({ route });
    counters.handshakeSeconds.zero({ route });
    counters.backendConnectSeconds.zero({ route });
  }

  #setGauges(): void {
    const { connections, certificates, routes, reloadState, workers } = this.#sources;
    const { open, limit, notAfter: ends, ...gauges } = this.#gauges;
    open.reset();
    limit.reset();
    for (const { name: route, limit: sessions } of routes()) {
      this.#startAtZero(route);
      open.set({ route }, 0);
      limit.set({ route }, sessions);
    }
    for (const { route } of connections.open.values()) open.inc({ route: route ?? "" });
    ends.reset();
    for (const { route, use, notAfter } of certificateEnds(certificates.list(), Date.now())) {
      ends.set({ route: route ?? "", use }, notAfter / 1000);
    }
    const { generation, last, succeededAt } = reloadState();
    gauges.reloadSuccessful.set(last.ok ? 1 : 0);
    gauges.reloadSuccess.set(succeededAt / 1000);
    gauges.generation.set(generation);
    gauges.workers.set(workers());
    this.#counters.logDropped.reset();
    this.#counters.logDropped.inc(droppedLogLines());
  }
}

function handshakeLabels({ tlsVersion, resumed }: TlsFacts): { tls_version: string; resumed: string } {
  return { tls_version: tlsVersion === null ? "" : TLS_VERSIONS[tlsVersion] ?? "", resumed: String(resumed) };
}

/** The usual one, and those of which an alert asks whether there was one at all (packaging/prometheus). */
const EXPECTED_REASONS = ["client_closed", "handshake_failed", "internal_error"];

const DECISIONS = {
  "app.accepted": "accepted",
  "app.rejected": "rejected",
  "app.failed": "failed",
  "rule.denied": "rule_denied",
} as const;

const TLS_VERSIONS: Readonly<Record<number, string>> = { 0x0303: "1.2", 0x0304: "1.3" };
