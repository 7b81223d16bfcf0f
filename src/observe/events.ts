/**
 * The one vocabulary of what happens: read by log, metrics and admin alike.
 *
 * Events are plain data, so that they can cross from one isolate to another. TLS connections are described by their
 * facts (DER); whoever shows them makes of those what it needs.
 */

import type { CloseReason, Problem, RejectionCode } from "../errors.ts";
import type { TlsFacts } from "../tls/record.ts";

/** Fields every event of a connection carries. */
export interface ConnectionFields {
  /** Short random ID, the same in every event of one connection. */
  readonly connection: string;
  /** The route's name; `null` until one of several is chosen, and of a CancelRequest in clear that is for several. */
  readonly route: string | null;
  /** `address:port` of the client, `unix` of a unix socket; that of the load balancer until its PROXY protocol header has been read. */
  readonly client: string;
}

/** A life of the process event, or a step of one connection. Field names are those of the log line. */
export type PgtlsEvent =
  | { readonly event: "config.loaded"; readonly file: string; readonly routes: number }
  | { readonly event: "config.warning"; readonly problem: Problem }
  /** A certificate that pgtls shows has to be renewed soon. */
  | { readonly event: "tls.expiring"; readonly problem: Problem }
  | { readonly event: "server.started"; readonly version: string; readonly workers: number }
  | { readonly event: "server.draining"; readonly connections: number; readonly drain_timeout_ms: number }
  | { readonly event: "server.stopped"; readonly connections_cut: number }
  | { readonly event: "server.failed"; readonly error: string; readonly stack: string }
  /** An app that did not stop in order. `route` is the first that uses it. */
  | { readonly event: "lifespan.failed"; readonly route: string; readonly detail: string }
  | { readonly event: "worker.started"; readonly worker: number }
  | {
    /** A worker is no more, with all its connections; another takes its place. */
    readonly event: "worker.failed";
    readonly worker: number;
    readonly detail: string;
    readonly connections: number;
  }
  | {
    /**
     * Connections of which no event will be seen, and events of none, because more came than could be taken, or because
     * their worker is no more.
     */
    readonly event: "events.dropped";
    readonly count: number;
  }
  | {
    /** A reload that was asked for has been carried out; what could not be taken is reported by itself. */
    readonly event: "config.reloaded";
    readonly file: string;
    readonly generation: number;
    /** Names of routes. */
    readonly added: readonly string[];
    readonly changed: readonly string[];
    readonly removed: readonly string[];
  }
  | {
    /** The configuration file does not pass: nothing has changed. */
    readonly event: "config.reload_failed";
    readonly file: string;
    readonly problems: readonly Problem[];
  }
  | {
    /** Certificates, keys, CA bundles and CRLs have been read and checked at the start. */
    readonly event: "tls.loaded";
    /** `null`: the admin server. */
    readonly route: string | null;
    readonly files: readonly string[];
  }
  | {
    readonly event: "tls.reloaded";
    /** `null`: the admin server. */
    readonly route: string | null;
    /** The files that have changed. */
    readonly files: readonly string[];
  }
  | {
    /** What a route (`null`: the admin server) is to use now cannot be used: it goes on with what it had. */
    readonly event: "tls.reload_failed";
    readonly route: string | null;
    /** `null` where it is not about a file. */
    readonly file: string | null;
    readonly detail: string;
  }
  | {
    readonly event: "listener.bound" | "listener.closed";
    readonly route: string;
    readonly address: string;
    readonly backend: string;
  }
  | {
    /** At the start: nothing is served then. */
    readonly event: "listener.failed";
    readonly route: string | null;
    readonly detail: string;
  }
  | {
    readonly event: "connection.refused";
    /** A route of the address they came to. */
    readonly route: string;
    /** Connections refused since the last such line; there is one a second at most. */
    readonly count: number;
    readonly detail: string;
  }
  | { readonly event: "admin.bound"; readonly address: string; readonly scheme: "http" | "https" }
  | {
    /** A request to the admin server that was refused for what it is, not for what it asks. */
    readonly event: "admin.refused";
    readonly client: string;
    readonly detail: string;
  }
  | ConnectionFields & { readonly event: "connection.accepted" }
  | ConnectionFields & {
    readonly event: "proxy_header.received";
    /** `address:port` of the load balancer; `client` is the one it names, from here on. */
    readonly proxy: string;
  }
  | ConnectionFields & {
    readonly event: "negotiation.completed";
    readonly transport: "requested_tls" | "direct_tls" | "plaintext";
  }
  | ConnectionFields & {
    /** Before the first byte of TLS. */
    readonly event: "negotiation.failed";
    readonly reason: CloseReason;
    readonly detail: string;
  }
  | ConnectionFields & {
    readonly event: "route.chosen";
    /** The server name that chose it; `null` if there was none, or no need to look. */
    readonly server_name: string | null;
  }
  | ConnectionFields & {
    readonly event: "handshake.completed";
    readonly tls: TlsFacts | null;
    /** Since the route was chosen. */
    readonly duration_ms: number;
  }
  | ConnectionFields & {
    readonly event: "handshake.failed";
    readonly reason: CloseReason;
    readonly detail: string;
  }
  | ConnectionFields & {
    readonly event: "peer.verified";
    readonly identity: string;
    /** With what the verification found; `null` in clear. */
    readonly tls: TlsFacts | null;
  }
  | ConnectionFields & {
    readonly event: "peer.rejected";
    readonly code: RejectionCode;
    readonly detail: string;
  }
  | ConnectionFields & {
    readonly event: "startup.received";
    readonly user: string;
    readonly database: string;
    readonly application_name: string | null;
  }
  | ConnectionFields & { readonly event: "cancel.received"; readonly encrypted: boolean }
  | ConnectionFields & { readonly event: "rule.denied"; readonly detail: string }
  | ConnectionFields & {
    readonly event: "app.accepted";
    /** Whom the session logs in as, where, and the route whose backend it uses: as the app left them. */
    readonly user: string;
    readonly database: string;
    readonly backend_route: string;
  }
  | ConnectionFields & {
    readonly event: "app.rejected";
    readonly sqlstate: string;
    /** What the client is told. */
    readonly message: string;
    readonly detail: string | null;
  }
  /** May follow `connection.closed`: an app hears of the end, and can fail over it. */
  | ConnectionFields & { readonly event: "app.failed"; readonly detail: string }
  | ConnectionFields & { readonly event: "connection.authorized" }
  | ConnectionFields & {
    readonly event: "backend.connected";
    readonly backend: string;
    readonly tls: TlsFacts | null;
    /** TCP, TLS and verification together. */
    readonly duration_ms: number;
  }
  | ConnectionFields & {
    readonly event: "session.opened";
    readonly auth_mode: "passthrough" | "scram" | "password";
    /** Whether the client's login is bound to the listener's certificate; `null` in passthrough. */
    readonly client_binding: boolean | null;
    /** Whether pgtls's login is bound to the backend's; `null` in passthrough, and where none was asked for. */
    readonly backend_binding: boolean | null;
  }
  | ConnectionFields & {
    readonly event: "authentication.failed";
    readonly reason: CloseReason;
    readonly detail: string;
  }
  | ConnectionFields & {
    readonly event: "backend.failed";
    readonly reason: CloseReason;
    readonly detail: string;
  }
  | ConnectionClosed;

/** The closing line: exactly one for each accepted connection. */
export interface ConnectionClosed extends ConnectionFields {
  readonly event: "connection.closed";
  readonly reason: CloseReason;
  /** Why, for the operator; `null` when the reason says it all. */
  readonly detail: string | null;
  /** `address:port` of the load balancer, where one sent a PROXY protocol header. */
  readonly proxy?: string;
  /** Whom the session logged in as, and where; once an app has changed that, as it left them. */
  readonly user: string | null;
  readonly database: string | null;
  /** What the client had asked for; there only where an app changed it. */
  readonly requested_user?: string;
  readonly requested_database?: string;
  /** Of a CancelRequest that went to several, each of them, with commas between. */
  readonly backend: string | null;
  /** PostgreSQL bytes, without TLS; from the first byte to the last. */
  readonly bytes_from_client: number;
  readonly bytes_from_backend: number;
  readonly duration_ms: number;
  /** The TLS of the client's connection, `null` without TLS. */
  readonly client_tls: TlsFacts | null;
  /** The TLS of the connection to the backend, `null` without TLS. */
  readonly backend_tls: TlsFacts | null;
  /** The stack of an internal error: the one thing here that is our fault. */
  readonly stack?: string;
}

/** Takes every event. Must not throw and must not block. */
export type Observer = (event: PgtlsEvent) => void;

/** Bytes of a session so far, in PostgreSQL's terms, without TLS. */
export interface RelayedBytes {
  readonly from_client: number;
  readonly from_backend: number;
}

/** Asks for the bytes of the sessions that are open, by connection ID; whoever has no session yet may be missing. */
export type LiveBytes = () => Promise<ReadonlyMap<string, RelayedBytes>>;

/** An event of a connection without the fields every such event has. */
export type EventBody<Name extends string = string> = WithoutFields<
  Extract<PgtlsEvent, ConnectionFields & { readonly event: Name }>
>;
type WithoutFields<E> = E extends ConnectionFields ? Omit<E, keyof ConnectionFields> : never;
