/**
 * Stage 9: two half-duplex copies. The bytes are PostgreSQL's and nobody's business here; only how each stream ends
 * so far is watched (session_tail.ts), because a last word of ours fits between two messages and nowhere else.
 */

import type { Socket } from "node:net";
import { type CloseReason, StageError } from "../errors.ts";
import type { Handover } from "./conversation.ts";
import { Direction, type DirectionOwner } from "./direction.ts";
import { Leg, type LegOwner } from "./leg.ts";
import { knowsHandles } from "./native_handle.ts";
import { Quiet } from "./quiet.ts";
import { restLater, restNever } from "./rest.ts";
import type { Session, SessionEnd } from "./session.ts";
import { SessionTail } from "./session_tail.ts";

/** Options of {@linkcode relay}. */
export interface RelayOptions {
  /** End the session when no byte has moved for this long, in milliseconds; 0 = never. */
  readonly idleTimeoutMs: number;
  /** Gives away what a login has left, which goes first. Called once, when somebody is there to take it. */
  readonly handOver?: () => Handover;
}

/**
 * Copies both ways until both directions have ended. The end of one direction is passed on and ends only that
 * direction; each side gets the other's last bytes. A slow reader holds its sender back: nothing is buffered beyond
 * one read and the sockets' own high-water marks. Whatever the streams have buffered by now comes first.
 *
 * From here on the session alone keeps the sockets: it lets go of them when it has lasted for a moment (rest.ts).
 */
export function relay(client: Socket, backend: Socket, options: RelayOptions): Session {
  return new RelayedSession(client, backend, options);
}

class RelayedSession implements Session, LegOwner, DirectionOwner {
  readonly #client: Leg;
  readonly #backend: Leg;
  readonly #toBackend: Direction;
  readonly #toClient: Direction;
  readonly #tail = new SessionTail();
  readonly #quiet = new Quiet();
  #end: SessionEnd | null = null;
  #onEnded: ((end: SessionEnd) => void) | null = null;
  #firstToClose: CloseReason | null = null;
  #hasEnded = false;

  constructor(
    clientSocket: Socket,
    backendSocket: Socket,
    { idleTimeoutMs, handOver = () => NOTHING }: RelayOptions,
  ) {
    const client = this.#client = new Leg(clientSocket, this);
    const backend = this.#backend = new Leg(backendSocket, this);
    this.#toBackend = new Direction(client, backend, this);
    this.#toClient = new Direction(backend, client, this);
    const { ends, fromClient, fromBackend } = handOver();
    if (ends !== null) {
      this.#toBackend.takeOver({ source: ends.client.source, sink: ends.backend.sink });
      this.#toClient.takeOver({ source: ends.backend.source, sink: ends.client.sink });
    }
    if (idleTimeoutMs > 0) {
      const message = `No byte in either direction for ${idleTimeoutMs} ms (idle_timeout)`;
      this.#quiet.wait(idleTimeoutMs, () => this.end(new StageError("idle_timeout", message)));
    }
    // First: a session that has nothing to begin with ends in there, and then nobody may ask it any more.
    if (knowsHandles()) restLater(this);
    this.#start(clientSocket, backendSocket, { fromClient, fromBackend });
  }

  get ended(): Promise<SessionEnd> {
    return new Promise((resolve) => this.onEnded(resolve));
  }

  onEnded(listener: (end: SessionEnd) => void): void {
    const [end, before] = [this.#end, this.#onEnded];
    if (end !== null) queueMicrotask(() => listener(end));
    else if (before === null) this.#onEnded = listener;
    else {
      this.#onEnded = (end) => {
        before(end);
        listener(end);
      };
    }
  }

  get bytesRead(): Session["bytesRead"] {
    return { client: this.#client.bytesRead, backend: this.#backend.bytesRead };
  }

  get activity(): number {
    return this.#client.activity + this.#backend.activity;
  }

  get client(): Socket {
    return this.#client.socket;
  }

  isIdle(): boolean {
    return this.#tail.isIdle();
  }

  /** For rest.ts. A session of which one side has closed is about to need its sockets, and keeps them. */
  rest(): boolean {
    if (this.#firstToClose !== null) return true;
    const canRest = [this.#toBackend, this.#toClient].every((direction) => direction.settle());
    if (!canRest) return false;
    this.#client.rest();
    this.#backend.rest();
    return true;
  }

  /** The directions'. */
  passes(chunk: Uint8Array, direction: Direction): void {
    this.#quiet.touch();
    if (direction === this.#toBackend) this.#tail.fromClient(chunk);
    else this.#tail.fromBackend(chunk);
  }

  /** The directions'. */
  moved(): void {
    this.#quiet.touch();
  }

  /** The legs'. */
  woken(leg: Leg, socket: Socket): void {
    if (leg === this.#client) this.#listenToClient(socket);
    else this.#listenToBackend(socket);
  }

  end(error: StageError | null): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    restNever(this);
    this.#quiet.clear();
    this.#toBackend.stop();
    this.#toClient.stop();
    const reason = error?.reason ?? this.#firstToClose ?? "client_closed";
    const settle = (canAnswer: boolean) => {
      this.#quiet.clear();
      this.#settle({ reason, error, canAnswer });
    };
    const client = this.#client.socket;
    if (!this.#tail.isBetweenMessages() || !client.writable) return settle(false);
    // Our last words go behind the backend's last bytes, if the client takes those in time.
    this.#quiet.wait(LAST_BYTES_MS, () => settle(false));
    client.once("close", () => settle(false));
    this.#toClient.whenDrained(() => settle(client.writable));
  }

  destroy(): void {
    this.#client.socket.destroy();
    this.#backend.socket.destroy();
  }

  /** The first one counts. Whoever ends a session has not to expect that it is closed meanwhile. */
  #settle(end: SessionEnd): void {
    if (this.#end !== null) return;
    this.#end = end;
    const listener = this.#onEnded;
    this.#onEnded = null;
    if (listener !== null) queueMicrotask(() => listener(end));
  }

  #start(client: Socket, backend: Socket, { fromClient, fromBackend }: Omit<Handover, "ends">): void {
    this.#listenToClient(client);
    this.#listenToBackend(backend);
    // While the backend was dialled a side may have ended its direction, or gone: those events are over.
    if (client.destroyed) {
      return this.end(
        new StageError("client_lost", "Client dropped the connection before the backend answered"),
      );
    }
    if (backend.destroyed && !backend.readableEnded) return this.#backendClosed();
    this.#toBackend.start(fromClient);
    if (client.readableEnded) this.#clientEnded();
    this.#toClient.start(fromBackend);
    if (backend.readableEnded) this.#backendEnded();
  }

  #listenToClient(client: Socket): void {
    client.on("end", () => this.#clientEnded());
    client.on("error", (error) => this.#lost("client_lost", error));
    client.on("close", () => this.#clientClosed());
  }

  #listenToBackend(backend: Socket): void {
    backend.on("end", () => this.#backendEnded());
    backend.on("error", (error) => this.#lost("backend_lost", error));
    backend.on("close", () => this.#backendClosed());
  }

  #lost(reason: CloseReason, error: Error): void {
    // After an orderly end a reset is how many peers hang up; it changes nothing.
    this.end(this.#firstToClose === null ? new StageError(reason, error.message, { cause: error }) : null);
  }

  #clientEnded(): void {
    if (this.#hasEnded) return;
    this.#firstToClose ??= "client_closed";
    this.#toBackend.finish();
  }

  #backendEnded(): void {
    if (this.#hasEnded) return;
    const isAnswer = this.#firstToClose !== null || this.#tail.hasTerminated();
    if (!isAnswer && this.#tail.isBetweenMessages()) {
      return this.end(new StageError("backend_lost", "Backend closed the connection without a word"));
    }
    // A client that has said Terminate was first, also where the end of its own stream comes a moment later.
    this.#firstToClose ??= this.#tail.hasTerminated() ? "client_closed" : "backend_closed";
    // PostgreSQL never half-closes: with the backend gone a silent client has nothing left to wait for.
    this.#quiet.wait(CLOSE_TIMEOUT_MS, () => this.end(null));
    this.#toClient.finish();
  }

  #clientClosed(): void {
    const [client, backend] = [this.#client.socket, this.#backend.socket];
    // Closed in order, so the backend has ended too: it may still be taking the client's last bytes.
    if (!client.readableEnded || !backend.readableEnded || backend.destroyed) return this.end(null);
    this.#quiet.wait(CLOSE_TIMEOUT_MS, () => this.end(null));
    backend.once("close", () => this.end(null));
  }

  #backendClosed(): void {
    const { readableEnded, errored } = this.#backend.socket;
    if (readableEnded) return;
    this.#lost("backend_lost", errored ?? new Error("Backend connection was lost"));
  }
}

// A client may answer late: ghostunnel raised its own limit from 1 s to 60 s because it cut valid traffic.
const CLOSE_TIMEOUT_MS = 60_000;

// As long as a refusal may take to be read (socket.ts).
const LAST_BYTES_MS = 3_000;

const EMPTY = new Uint8Array(0);
const NOTHING: Handover = { fromClient: EMPTY, fromBackend: EMPTY, ends: null };
