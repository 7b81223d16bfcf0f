/** Every metric of pgtls's own: name and help side by side. docs/metrics.md is the same in more words. */

import { Counter, Gauge, Histogram, type Registry } from "prom-client";

/** Metrics that events move. */
export function makeCounters(registers: Registry[]) {
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Counter({ name, help, labelNames: [...labelNames], registers });
  const seconds = (name: string, help: string, buckets: readonly number[]) =>
    new Histogram({ name, help, labelNames: ["route"], buckets: [...buckets], registers });
  return {
    connections: counter("pgtls_connections_total", "Connections accepted.", ["route"]),
    closed: counter("pgtls_connections_closed_total", "Connections ended, by close reason.", [
      "route",
      "reason",
    ]),
    connectionSeconds: seconds(
      "pgtls_connection_seconds",
      "How long connections lasted, from accept to the closing line.",
      LIFE_BUCKETS,
    ),
    turnedAway: counter(
      "pgtls_connections_turned_away_total",
      "Connections closed at once because the process could not hold more.",
      ["route"],
    ),
    handshakeSeconds: seconds(
      "pgtls_handshake_seconds",
      "TLS handshakes with clients, from the client's wish for TLS to the agreed keys.",
      BUCKETS,
    ),
    handshakes: counter(
      "pgtls_handshakes_total",
      "TLS handshakes with clients that were completed, by TLS version and whether a session was resumed.",
      ["route", "tls_version", "resumed"],
    ),
    certificatesRejected: counter(
      "pgtls_client_certificates_rejected_total",
      "Clients refused for their certificate or for having none, by rejection code.",
      ["route", "code"],
    ),
    backendConnectSeconds: seconds(
      "pgtls_backend_connect_seconds",
      "Connecting to the backend: TCP, TLS and verification together.",
      BUCKETS,
    ),
    backendFailures: counter(
      "pgtls_backend_failures_total",
      "Connections to the backend that failed, by close reason.",
      ["route", "reason"],
    ),
    decisions: counter(
      "pgtls_app_decisions_total",
      "What connection apps and [[proxy.allow]] rules said to sessions.",
      ["route", "decision"],
    ),
    relayBytes: counter(
      "pgtls_relay_bytes_total",
      "PostgreSQL bytes relayed, without TLS. Moves while sessions last.",
      ["route", "direction"],
    ),
    cancels: counter("pgtls_cancel_requests_total", "CancelRequests received.", ["route", "encrypted"]),
    logDropped: counter("pgtls_log_lines_dropped_total", "Log lines dropped because nobody read them.", []),
    adminRequests: counter("pgtls_admin_requests_total", "Answers of the admin server.", ["path", "status"]),
    adminRefused: counter(
      "pgtls_admin_refused_total",
      "Requests to the admin server refused for their certificate, Host or Origin.",
      [],
    ),
    adminDropped: counter(
      "pgtls_admin_websockets_dropped_total",
      "WebSockets dropped because their client did not read.",
      [],
    ),
  };
}

/** Metrics that are set at each scrape. */
export function makeGauges(registers: Registry[]) {
  const gauge = <Label extends string>(name: string, help: string, labelNames: readonly Label[] = []) =>
    new Gauge({ name, help, labelNames: [...labelNames], registers });
  return {
    open: gauge("pgtls_connections_open", "Connections open now, in whatever stage.", ["route"]),
    limit: gauge("pgtls_connections_limit", "Configured max_connections; 0 = no limit.", ["route"]),
    reloadSuccessful: gauge(
      "pgtls_tls_last_reload_successful",
      "1 if the last load or reload of configuration and certificates succeeded, else 0.",
    ),
    reloadSuccess: gauge(
      "pgtls_tls_last_reload_success_timestamp_seconds",
      "When a load or reload last succeeded, in seconds since 1970.",
    ),
    generation: gauge(
      "pgtls_generation",
      "1 = as started; one more with every reload that changed something.",
    ),
    notAfter: gauge(
      "pgtls_certificate_not_after_timestamp_seconds",
      "When certificates end, in seconds since 1970: of each route and use the one that matters first.",
      ["route", "use"],
    ),
    workers: gauge("pgtls_workers", "Isolates that serve connections."),
    buildInfo: gauge("pgtls_build_info", "Always 1; the version is in the labels.", ["version", "deno"]),
  };
}

// In seconds: from a handshake on one machine to connect_timeout's default.
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

// In seconds: from one short query to a pool's connection that lives for a day.
const LIFE_BUCKETS = [0.01, 0.1, 1, 10, 60, 600, 3_600, 21_600, 86_400];
