/**
 * The contract between pgtls and a connection app: what an app is called with, and what the two say to each other.
 *
 * Types alone, free of sockets; apps import them with `import type`. docs/scope.md is the same in words.
 *
 * @see {@link https://github.com/jjn1056/PAGI/tree/main/docs/specs | PAGI}, and the ASGI specification it follows
 */

import type { TlsRecord } from "../tls/record.ts";

/** An application: one function for every connection, whatever its protocol. What it returns is not looked at. */
export type App = (scope: Scope, receive: Receive, send: Send) => Promise<unknown> | unknown;

/** Waits for the next event of the server. */
export type Receive<Event extends ReceiveEvent = ReceiveEvent> = () => Promise<Event>;

/** Tells the server something. Rejects when the server cannot take it: out of order, unknown, or too late. */
export type Send<Event extends SendEvent = SendEvent> = (event: Event) => Promise<void>;

/** What a connection is, as data. Apps throw on a `type` they do not know. */
export type Scope = PostgresqlScope | HttpScope | WebsocketScope | LifespanScope;

/** Versions of the specifications a scope keeps to. */
export interface Versions {
  readonly version: "0.1";
  readonly spec_version: "0.1";
}

/** Extensions of a scope. A key stands for a feature the connection has; it is absent where it has not. */
export interface Extensions {
  /** Present if and only if this connection is TLS. */
  readonly tls?: TlsRecord;
  /** Of `websocket` scopes: the handshake may be refused with an HTTP status of the app's choice. */
  readonly "websocket.http.response"?: Readonly<Record<string, never>>;
}

/** Address and port; of a unix socket, its path (or `""`) and 0. */
export type Endpoint = readonly [host: string, port: number];

/** A session that asks to be let in. One connection, and so at most one TLS connection, is one scope. */
export interface PostgresqlScope {
  readonly type: "postgresql";
  readonly pagi: Versions;
  /** The name of the `[[proxy]]` it came to. */
  readonly route: string;
  /** ID of the connection, as in the log. */
  readonly connection: string;
  readonly client: Endpoint;
  /** The address of pgtls that the client reached. */
  readonly server: Endpoint;
  /** SNI; `null` when the client sent none. */
  readonly server_name: string | null;
  readonly user: string;
  /** The user's name where the client names no database, as in PostgreSQL. */
  readonly database: string;
  /** The StartupMessage's parameters as sent, `user` and `database` among them. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly extensions: Extensions;
}

/** Header names are lower case; order and repetitions are kept. */
export type Headers = readonly (readonly [name: string, value: string])[];

interface WebScope {
  readonly pagi: Versions;
  readonly http_version: "1.0" | "1.1";
  /** Path, percent-decoded. */
  readonly path: string;
  /** Path as sent. */
  readonly raw_path: string;
  /** What follows `?`, as sent, without it. */
  readonly query_string: string;
  readonly headers: Headers;
  readonly client: Endpoint;
  readonly server: Endpoint;
  readonly extensions: Extensions;
}

/** An HTTP request. */
export interface HttpScope extends WebScope {
  readonly type: "http";
  readonly scheme: "http" | "https";
  /** Upper case. */
  readonly method: string;
}

/** A WebSocket. */
export interface WebsocketScope extends WebScope {
  readonly type: "websocket";
  readonly scheme: "ws" | "wss";
  readonly subprotocols: readonly string[];
}

/** The life of the process, or of one worker. */
export interface LifespanScope {
  readonly type: "lifespan";
  readonly pagi: Versions;
}

/** What a server says. */
export type ReceiveEvent = PostgresqlReceive | HttpReceive | WebsocketReceive | LifespanReceive;

/** What an app says. */
export type SendEvent = PostgresqlSend | HttpSend | WebsocketSend | LifespanSend;

/** First `connect`; last `disconnect`, when the connection has ended, whatever was decided. */
export type PostgresqlReceive = { readonly type: "postgresql.connect" } | PostgresqlDisconnect;

/** How a session ended. */
export interface PostgresqlDisconnect {
  readonly type: "postgresql.disconnect";
  /** As in the closing line of the log. */
  readonly reason: string;
  readonly bytes_from_client: number;
  readonly bytes_from_backend: number;
  readonly duration_ms: number;
  /** The TLS record of the backend leg: a connection of its own, so not part of the scope. `null` in plaintext. */
  readonly backend_tls: TlsRecord | null;
}

/** The decision about a session: exactly one of these, once. */
export type PostgresqlSend = PostgresqlAccept | PostgresqlReject;

/** Lets the session go on. */
export interface PostgresqlAccept {
  readonly type: "postgresql.accept";
  /** The name of the `[[proxy]]` whose backend to use. @default the route's own */
  readonly backend?: string;
  /** The user to log in as. @default the client's */
  readonly user?: string;
  /** StartupMessage parameters to set; `null` removes one. Not `user`; `database` may change. */
  readonly parameters?: Readonly<Record<string, string | null>>;
}

/** Ends it with an ErrorResponse. */
export interface PostgresqlReject {
  readonly type: "postgresql.reject";
  /** One line, for the client to read. @default "connection refused by policy" */
  readonly message?: string;
  /** Five characters. @default "28000" */
  readonly sqlstate?: string;
  /** For the log alone: why. */
  readonly detail?: string;
}

/** The request's body in pieces, or the client's leaving. */
export type HttpReceive =
  | { readonly type: "http.request"; readonly body: Uint8Array; readonly more: boolean }
  | { readonly type: "http.disconnect" };

/** The answer: one `start`, then one or more `body`, the last with `more` false or absent. */
export type HttpSend =
  | { readonly type: "http.response.start"; readonly status: number; readonly headers?: Headers }
  | { readonly type: "http.response.body"; readonly body?: Uint8Array | string; readonly more?: boolean };

/** A WebSocket from connect to disconnect. */
export type WebsocketReceive =
  | { readonly type: "websocket.connect" }
  | { readonly type: "websocket.receive"; readonly text?: string; readonly bytes?: Uint8Array }
  | { readonly type: "websocket.disconnect"; readonly code: number; readonly reason: string };

/**
 * `accept`, `close` or `http.response.start` first; a `close` before `accept` refuses the handshake with 403, a response
 * with its status (the extension `websocket.http.response` of ASGI; there is no body).
 */
export type WebsocketSend =
  | { readonly type: "websocket.accept"; readonly subprotocol?: string }
  | { readonly type: "websocket.send"; readonly text?: string; readonly bytes?: Uint8Array }
  | { readonly type: "websocket.close"; readonly code?: number; readonly reason?: string }
  | { readonly type: "websocket.http.response.start"; readonly status: number };

/** Start and end of the process. */
export type LifespanReceive =
  | { readonly type: "lifespan.startup" }
  | { readonly type: "lifespan.shutdown" };

/** The app's answers. */
export type LifespanSend =
  | { readonly type: "lifespan.startup.complete" }
  | { readonly type: "lifespan.startup.failed"; readonly message?: string }
  | { readonly type: "lifespan.shutdown.complete" }
  | { readonly type: "lifespan.shutdown.failed"; readonly message?: string };
