/**
 * The connections that are open, and the last ones that closed; built from events alone.
 *
 * What is kept is bounded in number and in bytes: a client may send certificates of 256 KB and names of 10,000 bytes.
 */

import type { CloseReason, RejectionCode } from "../errors.ts";
import type { TlsFacts } from "../tls/record.ts";
import type { ConnectionClosed, ConnectionFields, PgtlsEvent } from "./events.ts";
import { levelOf } from "./levels.ts";
import { cutText } from "./log_format.ts";

/** Where a connection is, by what is known of it. */
export type ConnectionState =
  | "accepted"
  | "negotiated"
  | "routed"
  | "secured"
  | "identified"
  | "started"
  | "authorized"
  | "connected"
  | "opened"
  | "closed";

/** One connection as far as its events have told. */
export interface ConnectionRecord extends ConnectionFields {
  readonly state: ConnectionState;
  readonly user: string | null;
  readonly database: string | null;
  readonly application_name: string | null;
  /** The backend's address, once it is connected. */
  readonly backend: string | null;
  /** Milliseconds since 1970. */
  readonly opened_at: number;
  readonly client_tls: TlsFacts | null;
  readonly backend_tls: TlsFacts | null;
  /** Which check the client's or the backend's certificate failed; `null` when none. */
  readonly rejection: RejectionCode | null;
  /** `null` while it is open. */
  readonly closed: Closing | null;
}

/** What the closing line added. */
export interface Closing {
  readonly at: number;
  readonly duration_ms: number;
  readonly bytes_from_client: number;
  readonly bytes_from_backend: number;
  readonly reason: CloseReason;
  readonly detail: string | null;
}

/** Bounds of {@linkcode Connections}. */
export interface ConnectionsLimits {
  /** Closed connections to remember. @default 1000 */
  readonly closed?: number;
  /** Bytes that these may take together, about. @default 8 MiB */
  readonly closedBytes?: number;
}

/** Who is connected, and who was. */
export class Connections {
  readonly #open = new Map<string, ConnectionRecord>();
  /** In the order in which they closed; the value is what each takes. */
  readonly #closed = new Map<ConnectionRecord, number>();
  readonly #limits: Required<ConnectionsLimits>;
  #closedBytes = 0;

  constructor(limits: ConnectionsLimits = {}) {
    this.#limits = { closed: 1_000, closedBytes: 8 * 1024 * 1024, ...limits };
  }

  /** The open ones, oldest first. */
  get open(): ReadonlyMap<string, ConnectionRecord> {
    return this.#open;
  }

  /** The closed ones that are remembered, the latest last. */
  get closed(): Iterable<ConnectionRecord> {
    return this.#closed.keys();
  }

  /** How many of those there are. */
  get closedCount(): number {
    return this.#closed.size;
  }

  /** Takes an event; those that are not about one connection change nothing. */
  observe(event: PgtlsEvent): void {
    if (!("connection" in event)) return;
    if (event.event === "connection.accepted") return this.#accept(event);
    const known = this.#open.get(event.connection);
    if (event.event === "connection.closed") return this.#close(event, known);
    if (known === undefined) return;
    this.#open.set(event.connection, {
      ...known,
      route: event.route,
      client: event.client,
      ...learned(event),
    });
  }

  #accept({ connection, route, client }: ConnectionFields): void {
    this.#open.set(connection, {
      connection,
      route,
      client,
      state: "accepted",
      user: null,
      database: null,
      application_name: null,
      backend: null,
      opened_at: Date.now(),
      client_tls: null,
      backend_tls: null,
      rejection: null,
      closed: null,
    });
  }

  #close(event: ConnectionClosed, known: ConnectionRecord | undefined): void {
    this.#open.delete(event.connection);
    // Health checks that connect and close would push everybody else out.
    if (levelOf(event) === "debug") return;
    const record = closedRecord(event, known);
    const bytes = bytesOf(record);
    this.#closed.set(record, bytes);
    this.#closedBytes += bytes;
    for (const [oldest, freed] of this.#closed) {
      if (this.#closed.size <= this.#limits.closed && this.#closedBytes <= this.#limits.closedBytes) break;
      this.#closed.delete(oldest);
      this.#closedBytes -= freed;
    }
  }
}

/** What an event adds to what is known. */
function learned(event: PgtlsEvent & ConnectionFields): Partial<ConnectionRecord> {
  switch (event.event) {
    case "negotiation.completed":
      return { state: "negotiated" };
    case "route.chosen":
      return { state: "routed" };
    case "handshake.completed":
      return { state: "secured", client_tls: event.tls };
    case "peer.verified":
      return { state: "identified", client_tls: event.tls };
    case "startup.received": {
      const { user, database, application_name } = event;
      return {
        state: "started",
        user: cutText(user),
        database: cutText(database),
        application_name: application_name && cutText(application_name),
      };
    }
    case "app.accepted":
      // As the app has left them, and as the closing line will have them.
      return { user: cutText(event.user), database: cutText(event.database) };
    case "peer.rejected":
      return { rejection: event.code };
    case "cancel.received":
      return { state: "started" };
    case "connection.authorized":
      return { state: "authorized" };
    case "backend.connected":
      return { state: "connected", backend: event.backend, backend_tls: event.tls };
    case "session.opened":
      return { state: "opened" };
    default:
      return {};
  }
}

function closedRecord(event: ConnectionClosed, known: ConnectionRecord | undefined): ConnectionRecord {
  const { connection, route, client, backend, client_tls, backend_tls } = event;
  const { duration_ms, bytes_from_client, bytes_from_backend, reason, detail } = event;
  const at = Date.now();
  return {
    connection,
    route,
    client,
    state: "closed",
    user: event.user && cutText(event.user),
    database: event.database && cutText(event.database),
    application_name: known?.application_name ?? null,
    backend,
    opened_at: known?.opened_at ?? at - duration_ms,
    client_tls,
    backend_tls,
    rejection: known?.rejection ?? null,
    closed: {
      at,
      duration_ms,
      bytes_from_client,
      bytes_from_backend,
      reason,
      detail: detail && cutText(detail),
    },
  };
}

function bytesOf(record: ConnectionRecord): number {
  const texts = [record.user, record.database, record.application_name, record.closed?.detail];
  const text = texts.reduce((sum, value) => sum + 2 * (value?.length ?? 0), 0);
  return RECORD_BYTES + text + bytesOfTls(record.client_tls) + bytesOfTls(record.backend_tls);
}

/** pgtls's own certificates are one object for all connections of an isolate, but a copy each when they come from another. */
function bytesOfTls(facts: TlsFacts | null): number {
  if (facts === null) return 0;
  const chain = facts.clientChain.reduce((sum, der) => sum + der.length, 0);
  return chain + (facts.serverCert?.length ?? 0) + 2 * (facts.clientCertError?.length ?? 0);
}

// The objects themselves, with their short texts: some 30 fields.
const RECORD_BYTES = 600;
