/** One connection as the page keeps it, from a snapshot and from events. */

import type { CloseReason, RejectionCode } from "../../errors.ts";
import type { ConnectionJson, EventJson, TlsJson } from "./shapes.ts";
import { stateAfter } from "./state_words.ts";

/** The TLS of one leg without its PEM: thousands of rows are kept. */
export interface Leg {
  readonly version: number | null;
  readonly cipher: number | null;
  readonly certName: string | null;
  readonly certError: string | null;
  readonly alpn: string | null;
  readonly serverName: string | null;
  readonly resumed: boolean;
  /** SHA-256 in hex of the certificates, where they are told. */
  readonly serverSha256: string | null;
  readonly clientSha256: string | null;
}

/** A connection. Times are milliseconds since 1970. */
export interface Row {
  readonly connection: string;
  readonly route: string | null;
  readonly client: string;
  readonly state: string;
  readonly user: string | null;
  readonly database: string | null;
  readonly applicationName: string | null;
  readonly backend: string | null;
  readonly openedAt: number;
  readonly closedAt: number | null;
  readonly durationMs: number | null;
  readonly bytesFromClient: number;
  readonly bytesFromBackend: number;
  /** Bytes a second in both directions between the last two snapshots; `null` before there were two. */
  readonly rate: number | null;
  readonly reason: CloseReason | null;
  readonly detail: string | null;
  /** Which check a refused certificate failed, where that is known. */
  readonly code: RejectionCode | null;
  readonly clientTls: Leg | null;
  readonly backendTls: Leg | null;
}

/** A row from a snapshot. What only events tell (the rejection code) is kept from the row known before. */
export function rowOf(json: ConnectionJson, known?: Row): Row {
  const closedAt = json.closed_at ? Date.parse(json.closed_at) : null;
  return {
    connection: json.connection,
    route: json.route,
    client: json.client,
    state: json.state,
    user: json.user,
    database: json.database,
    applicationName: json.application_name ?? null,
    backend: json.backend,
    openedAt: Date.parse(json.opened_at),
    closedAt,
    durationMs: closedAt === null ? null : json.duration_ms,
    bytesFromClient: json.bytes_from_client,
    bytesFromBackend: json.bytes_from_backend,
    rate: null,
    reason: json.reason ?? null,
    detail: json.detail ?? null,
    code: json.rejection ?? known?.code ?? null,
    clientTls: legOf(json.client_tls, known?.clientTls),
    backendTls: legOf(json.backend_tls, known?.backendTls),
  };
}

/** The row after an event of its connection. `null` for an event that says nothing about one. */
export function rowAfter(row: Row | undefined, event: EventJson): Row | null {
  if (typeof event.connection !== "string") return null;
  const before = row ?? newRow(event.connection, event);
  const state = stateAfter(event.event) ?? before.state;
  const now: Row = {
    ...before,
    route: text(event.route) ?? before.route,
    client: text(event.client) ?? before.client,
    state,
  };
  switch (event.event) {
    case "handshake.completed":
      return { ...now, clientTls: legOf(tlsOf(event.tls)) };
    case "peer.verified":
      return { ...now, clientTls: legOf(tlsOf(event.tls)) ?? now.clientTls };
    case "startup.received":
      return {
        ...now,
        user: text(event.user),
        database: text(event.database),
        applicationName: text(event.application_name),
      };
    case "app.accepted":
      // As the app has left them, and as the closing line will have them.
      return { ...now, user: text(event.user) ?? now.user, database: text(event.database) ?? now.database };
    case "backend.connected":
      return { ...now, backend: text(event.backend), backendTls: legOf(tlsOf(event.tls)) };
    case "peer.rejected":
      return { ...now, code: text(event.code) as RejectionCode | null };
    case "connection.closed":
      return closedRow(now, event);
    default:
      return now;
  }
}

function closedRow(row: Row, event: EventJson): Row {
  return {
    ...row,
    state: "closed",
    closedAt: Date.parse(event.time),
    durationMs: number(event.duration_ms),
    openedAt: Number.isNaN(row.openedAt) ? Date.parse(event.time) - number(event.duration_ms) : row.openedAt,
    reason: text(event.reason) as CloseReason | null,
    detail: text(event.detail),
    user: text(event.user) ?? row.user,
    database: text(event.database) ?? row.database,
    backend: text(event.backend) ?? row.backend,
    bytesFromClient: number(event.bytes_from_client),
    bytesFromBackend: number(event.bytes_from_backend),
    rate: null,
    clientTls: legOf(tlsOf(event.client_tls), row.clientTls),
    backendTls: legOf(tlsOf(event.backend_tls), row.backendTls),
  };
}

/** A connection first heard of by `event`; when it began is known only if this is its first event. */
function newRow(connection: string, event: EventJson): Row {
  return {
    connection,
    route: null,
    client: "",
    state: "accepted",
    user: null,
    database: null,
    applicationName: null,
    backend: null,
    openedAt: event.event === "connection.closed" ? NaN : Date.parse(event.time),
    closedAt: null,
    durationMs: null,
    bytesFromClient: 0,
    bytesFromBackend: 0,
    rate: null,
    reason: null,
    detail: null,
    code: null,
    clientTls: null,
    backendTls: null,
  };
}

function legOf(tls: TlsJson | null | undefined, known?: Leg | null): Leg | null {
  if (tls === undefined) return known ?? null;
  if (tls === null) return null;
  return {
    version: tls.tls_version,
    cipher: tls.cipher_suite,
    certName: tls.client_cert_name,
    certError: tls.client_cert_error,
    alpn: tls.alpn ?? null,
    serverName: tls.server_name ?? null,
    resumed: tls.resumed ?? false,
    serverSha256: tls.server_cert_sha256 ?? known?.serverSha256 ?? null,
    clientSha256: tls.client_cert_sha256 ?? known?.clientSha256 ?? null,
  };
}

function tlsOf(value: unknown): TlsJson | null {
  return typeof value === "object" && value !== null ? value as TlsJson : null;
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function number(value: unknown): number {
  return typeof value === "number" ? value : 0;
}
