/**
 * The admin server: node:http behind pgtls's own TLS and verification, every request an app's scope.
 *
 * TLS is the listeners' TlsAcceptor and the identity is decided by the listeners' verify.ts, on every connection,
 * resumed ones included. One connection carries one request: node:http offers no more on sockets it has not accepted
 * itself, and it makes limits simple.
 */

import { Buffer } from "node:buffer";
import { createServer as createWebServer, type IncomingMessage, type Server as WebServer } from "node:http";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TcpAddress } from "../config/types.ts";
import type { PeerRejectedError } from "../errors.ts";
import type { Observer } from "../observe/events.ts";
import type { App } from "../scope/types.ts";
import { TlsAcceptor } from "../tls/acceptor.ts";
import type { ListenerMaterial } from "../tls/material.ts";
import { answerPlainly, serveRequest } from "./http.ts";
import { MAX_CONNECTIONS } from "./max_connections.ts";
import { whoGivesWay } from "./room.ts";
import { Visitor } from "./visitor.ts";
import { refuseHandshake, WebSockets } from "./websocket.ts";

/** Options of {@linkcode AdminServer}. */
export interface AdminServerOptions {
  readonly address: TcpAddress;
  /** `null` = http and ws, in clear. */
  readonly material: ListenerMaterial | null;
  readonly app: App;
  readonly observe: Observer;
  /** Told when a WebSocket was dropped because its client did not read. */
  readonly onDropped: () => void;
  readonly timeouts?: AdminTimeouts;
}

/** How long a client may take, in milliseconds. */
export interface AdminTimeouts {
  /** From connecting to a whole request, TLS included. @default 10 s */
  readonly requestMs?: number;
  /** From a whole request to an answer that has been taken. @default 60 s */
  readonly answerMs?: number;
  /** Between two pings of a WebSocket; one that has not answered by the next is dropped. @default 30 s */
  readonly pingMs?: number;
}

/** An admin server that is listening. */
export class AdminServer {
  readonly #options: AdminServerOptions;
  readonly #listener: Server;
  readonly #web: WebServer;
  readonly #sockets: WebSockets;
  /** In the order in which they came. */
  readonly #open = new Map<Socket, Visitor>();
  readonly #visitors = new WeakMap<Duplex, Visitor>();
  #tls: Tls | null;
  #port = 0;

  /**
   * Binds the address.
   *
   * @throws The system's error (`EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`), with its `code`.
   */
  static async bind(options: AdminServerOptions): Promise<AdminServer> {
    const server = new AdminServer(options);
    const { host, port } = options.address;
    await new Promise<void>((resolve, reject) => {
      server.#listener.once("error", reject);
      server.#listener.listen({ host, port }, () => {
        server.#listener.removeListener("error", reject);
        server.#listener.on("error", ignore);
        server.#port = (server.#listener.address() as AddressInfo).port;
        resolve();
      });
    });
    return server;
  }

  private constructor(options: AdminServerOptions) {
    this.#options = options;
    this.#tls = options.material && openTls(options.material);
    this.#listener = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, this.#accept);
    this.#sockets = new WebSockets({
      app: options.app,
      onError: this.#report,
      onDropped: options.onDropped,
      pingMs: options.timeouts?.pingMs ?? PING_MS,
    });
    this.#web = createWebServer({ maxHeaderSize: MAX_HEADER_BYTES });
    this.#web.on("request", (request, response) => {
      const visitor = this.#visitorOf(request);
      // The answer to the first one ends the connection.
      if (visitor === null) return;
      if (visitor.refusal) return answerPlainly(response, 403, refusalText(visitor.refusal));
      const onRead = () => visitor.allow(options.timeouts?.answerMs ?? ANSWER_MS);
      serveRequest(options.app, { request, response }, { peer: visitor.peer, onError: this.#report, onRead });
    });
    this.#web.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      const visitor = this.#visitorOf(request);
      if (visitor === null) return void socket.destroy();
      visitor.allow(options.timeouts?.answerMs ?? ANSWER_MS);
      if (visitor.refusal) return refuseHandshake(socket, 403);
      const onOpen = () => visitor.allow(null);
      this.#sockets.serve({ request, socket, head, onOpen }, visitor.peer);
    });
    this.#web.on("clientError", answerBadRequest);
  }

  /** The address bound, with the port the system chose where the configuration says 0. */
  get address(): { readonly host: string; readonly port: number } {
    return { host: this.#options.address.host, port: this.#port };
  }

  /** What it shows to clients; `null` without TLS. */
  get material(): ListenerMaterial | null {
    return this.#tls?.material ?? null;
  }

  /** Takes other material for connections to come; whether there is TLS cannot change. */
  publish(material: ListenerMaterial): void {
    this.#tls = openTls(material);
  }

  /** Stops listening and ends every connection, WebSockets with a word. */
  async close(): Promise<void> {
    this.#listener.close();
    this.#sockets.closeAll();
    const end = performance.now() + LAST_WORDS_MS;
    while (this.#open.size > 0 && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    for (const socket of this.#open.keys()) socket.destroy();
  }

  #accept = (socket: Socket): void => {
    socket.on("error", ignore);
    const visitor = new Visitor(socket);
    if (this.#open.size >= MAX_CONNECTIONS && !this.#makeRoom(visitor)) return void socket.destroy();
    this.#open.set(socket, visitor);
    socket.once("close", () => {
      visitor.allow(null);
      this.#open.delete(socket);
    });
    this.#admit(socket, visitor).catch((error: unknown) => {
      socket.destroy();
      this.#report(error);
    });
  };

  #makeRoom({ address }: Visitor): boolean {
    const leaving = whoGivesWay([...this.#open.values()], { address, now: performance.now() });
    if (leaving === null) return false;
    this.#open.delete(leaving.socket);
    leaving.end("gave way");
    return true;
  }

  /** Brings the connection to the web server, with what is known of its client. */
  async #admit(socket: Socket, visitor: Visitor): Promise<void> {
    visitor.allow(this.#options.timeouts?.requestMs ?? REQUEST_MS);
    if (this.#tls === null) return this.#hand(socket, visitor);
    const { acceptor, material } = this.#tls;
    // A handshake that fails is its client's affair; there is nobody to answer.
    const secured = await acceptor.accept(socket, visitor.signal).catch(() => null);
    if (secured === null) return void socket.destroy();
    secured.on("error", ignore);
    visitor.identify(secured, material);
    if (visitor.refusal) {
      this.#options.observe({
        event: "admin.refused",
        client: visitor.name,
        detail: visitor.refusal.message,
      });
    }
    this.#hand(secured, visitor);
  }

  #hand(stream: Socket, visitor: Visitor): void {
    this.#visitors.set(stream, visitor);
    this.#web.emit("connection", stream);
  }

  /** The visitor behind a request; `null` for a second one on the same connection. */
  #visitorOf({ socket }: IncomingMessage): Visitor | null {
    const visitor = this.#visitors.get(socket);
    return visitor?.use() ? visitor : null;
  }

  #report = (error: unknown): void => {
    const stack = error instanceof Error ? error.stack ?? "" : "";
    this.#options.observe({ event: "server.failed", error: String(error), stack });
  };
}

interface Tls {
  readonly acceptor: TlsAcceptor;
  readonly material: ListenerMaterial;
}

function openTls(material: ListenerMaterial): Tls {
  const requestCertificate = material.clientPolicy.mtls !== false;
  const acceptor = new TlsAcceptor(material, {
    minVersion: "1.2",
    requestCertificate,
    alpnProtocols: ["http/1.1"],
  });
  return { acceptor, material };
}

function refusalText({ code }: PeerRejectedError): string {
  return code === "no_certificate" ? "Client certificate required" : "Client certificate refused";
}

/** What node:http could not read: it has parsed nothing, so there is no response to send it with. */
function answerBadRequest(error: Error & { code?: string }, socket: Duplex): void {
  if (!socket.writable) return void socket.destroy();
  const status = error.code === "HPE_HEADER_OVERFLOW"
    ? "431 Request Header Fields Too Large"
    : "400 Bad Request";
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function ignore(): void {}

// As Node.js; browsers send a tenth of it.
const MAX_HEADER_BYTES = 16 * 1024;

// From accept to a whole request, TLS included; then to an answer that has been taken.
const REQUEST_MS = 10_000;
const ANSWER_MS = 60_000;

// Shorter than the idle time of common balancers (60 s), longer than a phone's lock screen takes.
const PING_MS = 30_000;

const LAST_WORDS_MS = 1_000;
