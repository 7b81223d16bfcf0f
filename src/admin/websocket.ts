/** WebSockets, each through an app: from the handshake to the end, and what is done with apps that misbehave. */

import type { Buffer } from "node:buffer";
import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import type { App, Receive } from "../scope/types.ts";
import { Conversation, GOING_AWAY, INTERNAL_ERROR, NORMAL } from "./conversation.ts";
import { type Peer, websocketScope } from "./web_scope.ts";

/** Options of {@linkcode WebSockets}. */
export interface WebSocketsOptions {
  readonly app: App;
  /** Told of what the app should not have done. */
  readonly onError: (error: unknown) => void;
  /** Told when a client was dropped because it did not read. */
  readonly onDropped: () => void;
  /** Between two pings; a client that has not answered by the next is dropped. */
  readonly pingMs: number;
}

/** A request for a WebSocket. */
export interface Handshake {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  /** Told once it is a WebSocket. */
  readonly onOpen: () => void;
}

/** All WebSockets of the server. */
export class WebSockets {
  readonly #options: WebSocketsOptions;
  readonly #server: WebSocketServer;
  readonly #open = new Map<Conversation, string>();
  readonly #subprotocols = new WeakMap<IncomingMessage, string>();

  constructor(options: WebSocketsOptions) {
    this.#options = options;
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      maxPayload: MAX_MESSAGE_BYTES,
      perMessageDeflate: false,
      handleProtocols: (_offered, request) => this.#subprotocols.get(request) ?? false,
    });
  }

  /** Runs the app for one WebSocket. Never rejects; the connection is closed afterwards. */
  async serve(handshake: Handshake, peer: Peer): Promise<void> {
    const { request, socket } = handshake;
    if (request.headers.upgrade?.toLowerCase() !== "websocket") return refuseHandshake(socket, 400);
    const scope = websocketScope(request, peer);
    if (scope === null) return refuseHandshake(socket, 400);
    const [client] = peer.client;
    const ofClient = [...this.#open.values()].filter((each) => each === client);
    if (this.#open.size >= MAX_OPEN || ofClient.length >= MAX_OF_CLIENT) return refuseHandshake(socket, 503);
    const conversation = new Conversation({
      upgrade: (subprotocol) => this.#upgrade(handshake, subprotocol),
      refuse: (status) => refuseHandshake(socket, status),
      ...this.#options,
    });
    this.#open.set(conversation, client);
    try {
      await this.#options.app(scope, conversation.receive as Receive, conversation.send);
      if (conversation.state === "connecting") throw new Error("App returned without accepting or closing");
      conversation.close(NORMAL);
    } catch (error) {
      if (conversation.state === "closed") return;
      this.#options.onError(error);
      if (conversation.state === "connecting") refuseHandshake(socket, 500);
      conversation.close(INTERNAL_ERROR);
    } finally {
      this.#open.delete(conversation);
    }
  }

  /** Tells every client that the server goes away. */
  closeAll(): void {
    for (const conversation of this.#open.keys()) conversation.close(GOING_AWAY);
  }

  #upgrade(
    { request, socket, head, onOpen }: Handshake,
    subprotocol: string | undefined,
  ): Promise<WebSocket> {
    if (subprotocol !== undefined) this.#subprotocols.set(request, subprotocol);
    return new Promise((resolve, reject) => {
      // A handshake that is none is answered by `ws` itself, with 400, 405 or 426.
      socket.once("close", () => reject(new Error("Client did not complete the WebSocket handshake")));
      this.#server.handleUpgrade(request, socket, head, (opened) => {
        onOpen();
        resolve(opened);
      });
    });
  }
}

/** Answers a WebSocket handshake with anything but a WebSocket. */
export function refuseHandshake(socket: Duplex, status: number): void {
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`;
  socket.end(`${head}\r\nConnection: close\r\nContent-Length: 0\r\nCache-Control: no-store\r\n\r\n`);
}

// Of all clients, and of one address: each may hold a megabyte that it has not read (conversation.ts).
const MAX_OPEN = 16;
const MAX_OF_CLIENT = 8;

// No endpoint takes messages; this is room for an app that does.
const MAX_MESSAGE_BYTES = 4 * 1024;
