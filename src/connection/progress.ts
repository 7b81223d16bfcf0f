/**
 * One connection's bookkeeping: its state, its events, its sockets and its closing line.
 * The pipeline tells it what has been reached; it decides nothing.
 */

import type { Socket } from "node:net";
import { type CloseReason, type Failure, PeerRejectedError, type StageError } from "../errors.ts";
import { buildDisconnect } from "../scope/build.ts";
import { AppRun } from "../scope/run_app.ts";
import type { App, PostgresqlScope } from "../scope/types.ts";
import type { ConnectionFields, Observer, PgtlsEvent, RelayedBytes } from "../observe/events.ts";
import { encodeAlert } from "../tls/alert.ts";
import type { TlsFacts } from "../tls/record.ts";
import { encodeErrorResponse } from "../wire/error_response.ts";
import type { Authentication } from "./authenticate.ts";
import type { Authorized } from "./authorize.ts";
import type { Routed } from "./choose_route.ts";
import type { Backend } from "./connect_backend.ts";
import type { Deadline } from "./deadline.ts";
import type { Secured } from "./handshake.ts";
import { factsOf } from "./facts.ts";
import type { Identified } from "./identify.ts";
import type { LentBackends } from "./lent_backends.ts";
import type { Accepted } from "./listen.ts";
import type { Negotiated } from "./negotiate.ts";
import type { Session } from "./relay.ts";
import type { Route } from "./route.ts";
import { closeGracefully } from "./socket.ts";
import { Sockets } from "./sockets.ts";
import type { Started } from "./startup.ts";
import { advance, type State, type Step } from "./state.ts";

/** What a connection needs of the server around it. */
export interface Surroundings {
  readonly observe: Observer;
  /** Every connection that is open now; each enters and leaves by itself. */
  readonly connections: Set<Progress>;
  /** The route of that name as it is now, for an app that chooses another's backend. */
  readonly findRoute: (name: string) => Route | undefined;
  readonly lentBackends: LentBackends;
}

/** The record of one connection while it lives. */
export class Progress {
  #accepted: Who;
  #sockets: Sockets;
  readonly #surroundings: Surroundings;
  #state: State = "accepted";
  #steps = 0;
  #route: Route | null;
  #secured: Secured | null = null;
  #clientTls: TlsFacts | null = null;
  /** What the client's first packet is, and whom it names. */
  #first: { readonly kind: Started["packet"]["kind"]; readonly names: Names } | null = null;
  #authorized: Pick<Authorized, "leave"> & { readonly names: Names | null } | null = null;
  #backends: readonly Pick<Backend, "address" | "tls">[] = [];
  #deadline: Deadline | null = null;
  #session: Session | null = null;
  /** `performance.now()` of the latest step. */
  #steppedAt: number;
  #app: AppRun | null = null;
  #stopped: StageError | null = null;

  constructor(accepted: Accepted, surroundings: Surroundings) {
    this.#accepted = whoOf(accepted);
    this.#sockets = new Sockets(accepted);
    this.#route = accepted.endpoint.onlyRoute;
    this.#surroundings = surroundings;
    this.#steppedAt = accepted.acceptedAt;
    surroundings.connections.add(this);
    this.#emit({ event: "connection.accepted" });
  }

  /** Notes a socket that must not outlive the connection. */
  own = (socket: Socket): void => {
    this.#sockets.own(socket);
  };

  /** Lets {@linkcode stop} end the stages that wait on `deadline`, also if it was called between two of them. */
  stoppedBy(deadline: Deadline): Deadline {
    this.#deadline = deadline;
    if (this.#stopped) deadline.abort(this.#stopped);
    return deadline;
  }

  /** Calls an app that is told how the connection ends, and that may end it by contradicting itself. */
  startApp = (app: App, scope: PostgresqlScope, graceMs: number): AppRun => {
    const failed = reporterOf(this.#surroundings.observe, this.#fields());
    this.#app = new AppRun(app, scope, { failed, revoked: (error) => this.stop(error), graceMs });
    return this.#app;
  };

  /** Who the client is; only a load balancer makes this another one than the socket's peer. */
  announced(accepted: Accepted): Accepted {
    this.#accepted = whoOf(accepted);
    this.#sockets = new Sockets(accepted);
    const { proxy } = accepted;
    if (proxy !== null) this.#step({ event: "proxy_header.received", proxy });
    return accepted;
  }

  negotiated(negotiated: Negotiated): Negotiated {
    this.#step({ event: "negotiation.completed", transport: negotiated.transport.kind });
    return negotiated;
  }

  routed(routed: Routed): Routed {
    const { route, serverName = null, cancelRoutes = [route] } = routed;
    this.#route = cancelRoutes.length === 1 ? route : null;
    this.#step({ event: "route.chosen", server_name: serverName });
    return routed;
  }

  secured(secured: Secured): Secured {
    this.#secured = secured;
    this.#sockets.secured(secured.stream);
    const duration_ms = this.#sinceStep();
    this.#step({ event: "handshake.completed", tls: factsOf(secured, null), duration_ms });
    return secured;
  }

  identified(identified: Identified): Identified {
    this.#clientTls = identified.clientTls;
    const { identity, clientTls: tls } = identified;
    this.#step({
      event: "peer.verified",
      identity: identity.kind === "verified" ? "verified" : identity.why,
      tls,
    });
    return identified;
  }

  started(started: Started): Started {
    const { packet } = started;
    this.#first = { kind: packet.kind, names: namesIn(packet) };
    if (packet.kind === "cancel_request") {
      this.#step({ event: "cancel.received", encrypted: started.tls !== null });
      return started;
    }
    const { user, database } = this.#first.names;
    const application_name = packet.parameters.get("application_name") ?? null;
    this.#step({ event: "startup.received", user: user ?? "", database: database ?? "", application_name });
    return started;
  }

  authorized(authorized: Authorized): Authorized {
    const { leave, login, backendRoute } = authorized;
    this.#authorized = { leave, names: login && { user: login.user, database: login.database } };
    if (login !== null && authorized.route.app !== null) {
      const { user, database } = login;
      this.#emit({ event: "app.accepted", user, database, backend_route: backendRoute.config.name });
    }
    this.#step({ event: "connection.authorized" });
    return authorized;
  }

  connected(backend: Backend): Backend {
    const { address, tls } = backend;
    this.#backends = [...this.#backends, { address, tls }];
    this.#sockets.connected(backend.stream);
    this.#step({ event: "backend.connected", backend: address, tls, duration_ms: this.#sinceStep() });
    return backend;
  }

  opened(authentication: Authentication): Authentication {
    const { mode, binding } = authentication;
    this.#step({
      event: "session.opened",
      auth_mode: mode,
      client_binding: binding && binding.client,
      backend_binding: binding && binding.backend,
    });
    return authentication;
  }

  /** The relay has the sockets: nothing here may keep them, or what refers to them. */
  relaying(session: Session): Session {
    this.#session = session;
    this.#sockets.handOver(session);
    this.#secured = null;
    this.#deadline = null;
    if (this.#stopped) session.end(this.#stopped);
    return session;
  }

  /** Whether the client and the backend talk to each other already. */
  get hasSession(): boolean {
    return this.#session !== null;
  }

  /** A number that grows with every step taken and every byte received. */
  get activity(): number {
    return this.#steps + this.#sockets.activity;
  }

  /** Whether ending it now would interrupt nothing: no session yet, or one that waits for its next query. */
  get isIdle(): boolean {
    return this.#session === null ? this.#authorized === null : this.#session.isIdle();
  }

  /** ID of the connection, as in its events. */
  get id(): string {
    return this.#accepted.id;
  }

  /** Bytes of the session so far, never more than the closing line will count; `null` before there is a session. */
  get sessionBytes(): RelayedBytes | null {
    return this.#session && this.#sockets.bytes;
  }

  /** Ends the connection as soon as it can be told so. */
  stop(error: StageError): void {
    this.#stopped ??= error;
    if (this.#session) this.#session.end(error);
    else this.#deadline?.abort(error);
  }

  /** Ends the connection at once, without a word. */
  destroy(): void {
    this.#sockets.destroy();
  }

  /** Writes the closing line, says the last words where they can be read, and closes every socket. */
  async close(
    reason: CloseReason,
    failure: Failure | null = null,
    canAnswer = false,
    cause?: unknown,
  ): Promise<void> {
    if (failure) this.#reportFailure(failure, cause);
    const words = failure && encodeLastWords(failure);
    const goodbye = canAnswer && words ? this.#lastWords(failure) : null;
    const line = this.#closingLine(reason, failure, cause);
    this.#step(line);
    this.#authorized?.leave();
    this.#app?.disconnect(buildDisconnect({
      reason,
      bytes_from_client: line.bytes_from_client,
      bytes_from_backend: line.bytes_from_backend,
      duration_ms: line.duration_ms,
      backendTls: line.backend_tls,
    }));
    if (goodbye && words) await closeGracefully(goodbye, words);
    this.destroy();
    this.#surroundings.connections.delete(this);
  }

  /** The socket on which the client can read it; `null` in the middle of a TLS handshake. */
  #lastWords(failure: Failure): Socket | null {
    const { accepted, client } = this.#sockets.ends;
    if (client !== null) return client;
    if (failure.alert !== undefined) return this.#state === "negotiated" ? accepted : null;
    return this.#state === "accepted" ? accepted : null;
  }

  #reportFailure(failure: Failure, cause: unknown): void {
    if (cause instanceof PeerRejectedError) {
      if (this.#secured) this.#clientTls = factsOf(this.#secured, null, cause);
      this.#emit({ event: "peer.rejected", code: cause.code, detail: cause.message });
    }
    const { reason, answer, detail } = failure;
    const failed = FAILED_STEPS[this.#state];
    if (failed !== undefined && !DEPARTURES.has(reason)) this.#emit({ event: failed, reason, detail });
    if (reason === "rule_denied") this.#emit({ event: "rule.denied", detail });
    if (reason === "app_failed") this.#emit({ event: "app.failed", detail });
    if (reason === "app_rejected" && answer) {
      const why = detail === answer.message ? null : detail;
      this.#emit({ event: "app.rejected", sqlstate: answer.sqlstate, message: answer.message, detail: why });
    }
    if (this.#isLoginFailure(reason)) this.#emit({ event: "authentication.failed", reason, detail });
    else if (this.#state === "authorized" && reason !== "app_failed") {
      this.#emit({ event: "backend.failed", reason, detail });
    }
    if (reason === "channel_binding_conflict" && this.#route) this.#warnOnce(this.#route, failure);
  }

  /** A login ends between `connected` and `opened`; who merely leaves has not failed. */
  #isLoginFailure(reason: CloseReason): boolean {
    if (reason === "auth_limited") return true;
    const isLogin = this.#state === "connected" && this.#first?.kind === "startup_message";
    return isLogin && !DEPARTURES.has(reason);
  }

  /** What the operator can mend is said once a route, and louder than one client's refusal. */
  #warnOnce({ config, warned }: Route, { reason, detail: message }: Failure): void {
    if (warned.has(reason)) return;
    warned.add(reason);
    const problem = { path: `proxy[${config.index}].auth.mode`, route: config.name, message };
    this.#surroundings.observe({ event: "config.warning", problem });
  }

  #closingLine(reason: CloseReason, failure: Failure | null, cause: unknown): Body<"connection.closed"> {
    const { from_client, from_backend } = this.#sockets.bytes;
    const { proxy } = this.#accepted;
    return {
      event: "connection.closed",
      reason,
      detail: failure?.detail ?? null,
      ...(proxy !== null && { proxy }),
      ...this.#names(),
      backend: this.#backends.map(({ address }) => address).join(", ") || null,
      bytes_from_client: from_client,
      bytes_from_backend: from_backend,
      duration_ms: milliseconds(performance.now() - this.#accepted.acceptedAt),
      client_tls: this.#clientTls,
      backend_tls: this.#backends[0]?.tls ?? null,
      ...(reason === "internal_error" && cause instanceof Error ? { stack: cause.stack ?? "" } : {}),
    };
  }

  /** As they went to the backend, and as they were asked for where that is something else. */
  #names() {
    const requested = this.#first?.names ?? NOBODY;
    const login = this.#authorized?.names;
    if (!login) return requested;
    const { user, database } = login;
    return {
      user,
      database,
      ...(requested.user !== user && { requested_user: requested.user ?? "" }),
      ...(requested.database !== database && { requested_database: requested.database ?? "" }),
    };
  }

  #step(body: Body<Step>): void {
    this.#state = advance(this.#state, body.event);
    this.#steps++;
    this.#steppedAt = performance.now();
    this.#emit(body);
  }

  #sinceStep(): number {
    return milliseconds(performance.now() - this.#steppedAt);
  }

  #emit(body: Body): void {
    this.#surroundings.observe({ ...this.#fields(), ...body } as PgtlsEvent);
  }

  #fields(): ConnectionFields {
    const { id, client } = this.#accepted;
    return { connection: id, route: this.#route?.config.name ?? null, client };
  }
}

/** Made out here so that an app that never ends holds on to these two alone, and to no socket. */
function reporterOf(observe: Observer, fields: ConnectionFields): (detail: string) => void {
  return (detail) => observe({ event: "app.failed", ...fields, detail });
}

function encodeLastWords({ alert, answer }: Failure): Uint8Array | null {
  if (alert !== undefined) return encodeAlert(alert);
  return answer && encodeErrorResponse({ severity: "FATAL", ...answer });
}

/** What did not come about when a connection ends in this state. */
const FAILED_STEPS: Partial<Record<State, "negotiation.failed" | "handshake.failed">> = {
  accepted: "negotiation.failed",
  negotiated: "handshake.failed",
  routed: "handshake.failed",
};

const DEPARTURES: ReadonlySet<CloseReason> = new Set([
  "client_closed",
  "client_lost",
  "backend_lost",
  "server_draining",
]);

/** An event of a connection without the fields every such event has. */
type Body<Name extends string = string> = WithoutFields<
  Extract<PgtlsEvent, ConnectionFields & { readonly event: Name }>
>;
type WithoutFields<E> = E extends ConnectionFields ? Omit<E, keyof ConnectionFields> : never;

/** Rounded to microseconds. */
function milliseconds(duration: number): number {
  return Math.round(duration * 1000) / 1000;
}

/** What of an accepted connection is worth remembering: not its socket. */
type Who = Pick<Accepted, "id" | "client" | "proxy" | "acceptedAt">;

function whoOf({ id, client, proxy, acceptedAt }: Accepted): Who {
  return { id, client, proxy, acceptedAt };
}

interface Names {
  readonly user: string | null;
  readonly database: string | null;
}

const NOBODY: Names = { user: null, database: null };

function namesIn(packet: Started["packet"]): Names {
  if (packet.kind !== "startup_message") return NOBODY;
  const { parameters } = packet;
  const user = parameters.get("user") ?? null;
  // PostgreSQL's own default, for an empty name too.
  return { user, database: parameters.get("database") || user };
}
