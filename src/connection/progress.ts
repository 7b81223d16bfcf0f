/**
 * One connection's bookkeeping: its state, its events, its sockets and its closing line.
 * The pipeline tells it what has been reached; it decides nothing.
 */

import type { Socket } from "node:net";
import { type CloseReason, type Failure, PeerRejectedError, type StageError } from "../errors.ts";
import type { ConnectionFields, Observer, PgtlsEvent, RelayedBytes } from "../observe/events.ts";
import { encodeAlert } from "../tls/alert.ts";
import type { TlsFacts } from "../tls/record.ts";
import { encodeErrorResponse } from "../wire/error_response.ts";
import type { Authorized } from "./authorize.ts";
import type { Routed } from "./choose_route.ts";
import type { Backend } from "./connect_backend.ts";
import type { Deadline } from "./deadline.ts";
import type { Secured } from "./handshake.ts";
import { factsOf } from "./facts.ts";
import type { Identified } from "./identify.ts";
import type { Accepted } from "./listen.ts";
import type { Negotiated } from "./negotiate.ts";
import type { Session } from "./relay.ts";
import type { Route } from "./route.ts";
import { closeGracefully } from "./socket.ts";
import type { Started } from "./startup.ts";
import { advance, type State, type Step } from "./state.ts";

/** What a connection needs of the server around it. */
export interface Surroundings {
  readonly observe: Observer;
  /** Every connection that is open now; each enters and leaves by itself. */
  readonly connections: Set<Progress>;
}

/** The record of one connection while it lives. */
export class Progress {
  readonly #accepted: Accepted;
  readonly #surroundings: Surroundings;
  readonly #sockets: Socket[] = [];
  #state: State = "accepted";
  #steps = 0;
  #route: Route | null;
  #secured: Secured | null = null;
  #clientTls: TlsFacts | null = null;
  #started: Started | null = null;
  #authorized: Authorized | null = null;
  #backends: readonly Backend[] = [];
  #deadline: Deadline | null = null;
  #session: Session | null = null;
  /** `performance.now()` of the latest step. */
  #steppedAt: number;

  constructor(accepted: Accepted, surroundings: Surroundings) {
    this.#accepted = accepted;
    this.#route = accepted.endpoint.onlyRoute;
    this.#surroundings = surroundings;
    this.#steppedAt = accepted.acceptedAt;
    surroundings.connections.add(this);
    this.own(accepted.socket);
    this.#emit({ event: "connection.accepted" });
  }

  /** Notes a socket that must not outlive the connection. */
  own = (socket: Socket): void => {
    this.#sockets.push(socket);
  };

  /** Lets {@linkcode stop} end the stages that wait on `deadline`. */
  stoppedBy(deadline: Deadline): Deadline {
    this.#deadline = deadline;
    return deadline;
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
    if (secured.tls) this.own(secured.stream);
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
    this.#started = started;
    const { packet } = started;
    if (packet.kind === "cancel_request") {
      this.#step({ event: "cancel.received", encrypted: started.tls !== null });
      return started;
    }
    const { user, database } = userAndDatabase(started);
    const application_name = packet.parameters.get("application_name") ?? null;
    this.#step({ event: "startup.received", user: user ?? "", database: database ?? "", application_name });
    return started;
  }

  authorized(authorized: Authorized): Authorized {
    this.#authorized = authorized;
    this.#step({ event: "connection.authorized" });
    return authorized;
  }

  connected(backend: Backend): Backend {
    this.#backends = [...this.#backends, backend];
    const { address, tls } = backend;
    this.#step({ event: "backend.connected", backend: address, tls, duration_ms: this.#sinceStep() });
    return backend;
  }

  relaying(session: Session): Session {
    this.#session = session;
    this.#deadline = null;
    return session;
  }

  /** Whether the client and the backend talk to each other already. */
  get hasSession(): boolean {
    return this.#session !== null;
  }

  /** A number that grows with every step taken and every byte received. */
  get activity(): number {
    const backend = this.#bytesFromBackend;
    return this.#steps + this.#accepted.socket.bytesRead + (this.#secured?.stream.bytesRead ?? 0) + backend;
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
    return this.#session && this.#relayedBytes();
  }

  /** Ends the connection as soon as it can be told so. */
  stop(error: StageError): void {
    if (this.#session) this.#session.end(error);
    else this.#deadline?.abort(error);
  }

  /** Ends the connection at once, without a word. */
  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
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
    this.#step(this.#closingLine(reason, failure, cause));
    this.#authorized?.leave();
    if (goodbye && words) await closeGracefully(goodbye, words);
    this.destroy();
    this.#surroundings.connections.delete(this);
  }

  /** The socket on which the client can read it; `null` in the middle of a TLS handshake. */
  #lastWords(failure: Failure): Socket | null {
    if (this.#secured) return this.#secured.stream;
    if (failure.alert !== undefined) return this.#state === "negotiated" ? this.#accepted.socket : null;
    return this.#state === "accepted" ? this.#accepted.socket : null;
  }

  #reportFailure(failure: Failure, cause: unknown): void {
    if (cause instanceof PeerRejectedError) {
      if (this.#secured) this.#clientTls = factsOf(this.#secured, null, cause);
      this.#emit({ event: "peer.rejected", code: cause.code, detail: cause.message });
    }
    if (this.#state === "authorized") {
      this.#emit({ event: "backend.failed", reason: failure.reason, detail: failure.detail });
    }
  }

  get #bytesFromBackend(): number {
    return this.#backends.reduce((sum, { stream }) => sum + stream.bytesRead, 0);
  }

  #closingLine(reason: CloseReason, failure: Failure | null, cause: unknown): Body<"connection.closed"> {
    const { from_client, from_backend } = this.#relayedBytes();
    return {
      event: "connection.closed",
      reason,
      detail: failure?.detail ?? null,
      ...userAndDatabase(this.#started),
      backend: this.#backends.map(({ address }) => address).join(", ") || null,
      bytes_from_client: from_client,
      bytes_from_backend: from_backend,
      duration_ms: milliseconds(performance.now() - this.#accepted.acceptedAt),
      client_tls: this.#clientTls,
      backend_tls: this.#backends[0]?.tls ?? null,
      ...(reason === "internal_error" && cause instanceof Error ? { stack: cause.stack ?? "" } : {}),
    };
  }

  #relayedBytes(): RelayedBytes {
    const client = this.#secured?.stream ?? this.#accepted.socket;
    return { from_client: client.bytesRead, from_backend: this.#bytesFromBackend };
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
    const { id, client } = this.#accepted;
    const route = this.#route?.config.name ?? null;
    this.#surroundings.observe({ connection: id, route, client, ...body } as PgtlsEvent);
  }
}

function encodeLastWords({ alert, answer }: Failure): Uint8Array | null {
  if (alert !== undefined) return encodeAlert(alert);
  return answer && encodeErrorResponse({ severity: "FATAL", ...answer });
}

/** An event of a connection without the fields every such event has. */
type Body<Name extends string = string> = WithoutFields<
  Extract<PgtlsEvent, ConnectionFields & { readonly event: Name }>
>;
type WithoutFields<E> = E extends ConnectionFields ? Omit<E, keyof ConnectionFields> : never;

/** Rounded to microseconds. */
function milliseconds(duration: number): number {
  return Math.round(duration * 1000) / 1000;
}

function userAndDatabase(started: Started | null): { user: string | null; database: string | null } {
  if (started?.packet.kind !== "startup_message") return { user: null, database: null };
  const { parameters } = started.packet;
  const user = parameters.get("user") ?? null;
  // PostgreSQL's own default, for an empty name too.
  return { user, database: parameters.get("database") || user };
}
