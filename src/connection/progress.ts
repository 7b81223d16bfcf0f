/**
 * One connection's bookkeeping: what has been reached, its sockets and its end. The pipeline tells it, and it decides
 * nothing. Its parts: state and events are in steps.ts, what is told of its end in failure_events.ts, closing_line.ts
 * and last_words.ts.
 */

import type { Socket } from "node:net";
import { type CloseReason, type Failure, PeerRejectedError, type StageError } from "../errors.ts";
import { buildDisconnect } from "../scope/build.ts";
import { AppRun } from "../scope/run_app.ts";
import type { App, PostgresqlScope } from "../scope/types.ts";
import type { ConnectionFields, Observer, RelayedBytes } from "../observe/events.ts";
import type { TlsFacts } from "../tls/record.ts";
import type { Authentication } from "./authenticate.ts";
import type { Authorized } from "./authorize.ts";
import type { Routed } from "./choose_route.ts";
import { closingLine } from "./closing_line.ts";
import type { Backend } from "./connect_backend.ts";
import type { Deadline } from "./deadline.ts";
import type { Secured } from "./handshake.ts";
import { factsOf } from "./facts.ts";
import { bindingWarning, failureEvents } from "./failure_events.ts";
import type { Identified } from "./identify.ts";
import { lastWords } from "./last_words.ts";
import type { Accepted } from "./listen.ts";
import { finalNames, type Names, namesIn } from "./names.ts";
import type { Negotiated } from "./negotiate.ts";
import type { Session } from "./session.ts";
import { closeGracefully } from "./socket.ts";
import { Sockets } from "./sockets.ts";
import type { Started } from "./startup.ts";
import { Steps } from "./steps.ts";
import type { Surroundings } from "./surroundings.ts";

/** The record of one connection while it lives. */
export class Progress {
  readonly #surroundings: Surroundings;
  readonly #steps: Steps;
  #sockets: Sockets;
  #secured: Secured | null = null;
  #clientTls: TlsFacts | null = null;
  /** What the client's first packet is, and whom it names. */
  #first: { readonly kind: Started["packet"]["kind"]; readonly names: Names } | null = null;
  #authorized: Pick<Authorized, "leave"> & { readonly names: Names | null } | null = null;
  #backends: readonly Pick<Backend, "address" | "tls">[] = [];
  #deadline: Deadline | null = null;
  #session: Session | null = null;
  #app: AppRun | null = null;
  #stopped: StageError | null = null;

  constructor(accepted: Accepted, surroundings: Surroundings) {
    this.#surroundings = surroundings;
    this.#steps = new Steps(accepted, surroundings.observe);
    this.#sockets = new Sockets(accepted);
    surroundings.connections.add(this);
    this.#steps.tell({ event: "connection.accepted" });
  }

  /** Notes a socket that must not outlive the connection. */
  own(socket: Socket): void {
    this.#sockets.own(socket);
  }

  /** Lets {@linkcode stop} end the stages that wait on `deadline`, also if it was called between two of them. */
  stoppedBy(deadline: Deadline): Deadline {
    this.#deadline = deadline;
    if (this.#stopped) deadline.abort(this.#stopped);
    return deadline;
  }

  /** Calls an app that is told how the connection ends, and that may end it by contradicting itself. */
  startApp(app: App, scope: PostgresqlScope, graceMs: number): AppRun {
    const failed = reporterOf(this.#surroundings.observe, this.#steps.fields);
    this.#app = new AppRun(app, scope, { failed, revoked: (error) => this.stop(error), graceMs });
    return this.#app;
  }

  /** Who the client is; only a load balancer makes this another one than the socket's peer. */
  announced(accepted: Accepted): Accepted {
    this.#steps.announced(accepted);
    this.#sockets = new Sockets(accepted);
    const { proxy } = accepted;
    if (proxy !== null) this.#steps.take({ event: "proxy_header.received", proxy });
    return accepted;
  }

  negotiated(negotiated: Negotiated): Negotiated {
    this.#steps.take({ event: "negotiation.completed", transport: negotiated.transport.kind });
    return negotiated;
  }

  routed(routed: Routed): Routed {
    const { route, serverName = null, cancelRoutes = [route] } = routed;
    this.#steps.route = cancelRoutes.length === 1 ? route : null;
    this.#steps.take({ event: "route.chosen", server_name: serverName });
    return routed;
  }

  secured(secured: Secured): Secured {
    this.#secured = secured;
    this.#sockets.secured(secured.stream);
    const duration_ms = this.#steps.sinceLast;
    this.#steps.take({ event: "handshake.completed", tls: factsOf(secured, null), duration_ms });
    return secured;
  }

  identified(identified: Identified): Identified {
    this.#clientTls = identified.clientTls;
    const { identity, clientTls: tls } = identified;
    this.#steps.take({
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
      this.#steps.take({ event: "cancel.received", encrypted: started.tls !== null });
      return started;
    }
    const { user, database } = this.#first.names;
    const application_name = packet.parameters.get("application_name") ?? null;
    this.#steps.take({
      event: "startup.received",
      user: user ?? "",
      database: database ?? "",
      application_name,
    });
    return started;
  }

  authorized(authorized: Authorized): Authorized {
    const { leave, login, backendRoute } = authorized;
    this.#authorized = { leave, names: login && { user: login.user, database: login.database } };
    if (login !== null && authorized.route.app !== null) {
      const { user, database } = login;
      this.#steps.tell({ event: "app.accepted", user, database, backend_route: backendRoute.config.name });
    }
    this.#steps.take({ event: "connection.authorized" });
    return authorized;
  }

  connected(backend: Backend): Backend {
    const { address, tls } = backend;
    // Not spread into a literal, which has room for sixteen more.
    this.#backends = this.#backends.concat({ address, tls });
    this.#sockets.connected(backend.stream);
    this.#steps.take({
      event: "backend.connected",
      backend: address,
      tls,
      duration_ms: this.#steps.sinceLast,
    });
    return backend;
  }

  opened(authentication: Authentication): Authentication {
    const { mode, binding } = authentication;
    this.#steps.take({
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
    return this.#steps.count + this.#sockets.activity;
  }

  /** Whether ending it now would interrupt nothing: no session yet, or one that waits for its next query. */
  get isIdle(): boolean {
    return this.#session === null ? this.#authorized === null : this.#session.isIdle();
  }

  /** ID of the connection, as in its events. */
  get id(): string {
    return this.#steps.who.id;
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
    const words = failure && canAnswer
      ? lastWords(failure, { state: this.#steps.state, sockets: this.#sockets })
      : null;
    const line = closingLine({ reason, failure, cause }, {
      steps: this.#steps,
      names: finalNames(this.#first?.names ?? null, this.#authorized?.names ?? null),
      backends: this.#backends,
      bytes: this.#sockets.bytes,
      clientTls: this.#clientTls,
    });
    this.#steps.take(line);
    this.#authorized?.leave();
    this.#app?.disconnect(buildDisconnect({
      reason,
      bytes_from_client: line.bytes_from_client,
      bytes_from_backend: line.bytes_from_backend,
      duration_ms: line.duration_ms,
      backendTls: line.backend_tls,
    }));
    if (words) await closeGracefully(words.socket, words.bytes);
    this.destroy();
    this.#surroundings.connections.delete(this);
  }

  #reportFailure(failure: Failure, cause: unknown): void {
    if (cause instanceof PeerRejectedError && this.#secured) {
      this.#clientTls = factsOf(this.#secured, null, cause);
    }
    const at = { state: this.#steps.state, packet: this.#first?.kind ?? null, cause };
    for (const event of failureEvents(failure, at)) this.#steps.tell(event);
    const { route } = this.#steps;
    const problem = route && bindingWarning(route, failure);
    if (problem) this.#surroundings.observe({ event: "config.warning", problem });
  }
}

/** Made out here so that an app that never ends holds on to these two alone, and to no socket. */
function reporterOf(observe: Observer, fields: ConnectionFields): (detail: string) => void {
  return (detail) => observe({ event: "app.failed", ...fields, detail });
}
