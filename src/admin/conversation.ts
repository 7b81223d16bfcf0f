/**
 * One WebSocket's receive and send.
 *
 * Nothing is kept for a client that does not read: past a bound its connection is dropped. Nothing is read for an app
 * that does not: past a bound the connection is paused.
 */

import { Buffer } from "node:buffer";
import type { RawData, WebSocket } from "ws";
import type { Send, SendEvent, WebsocketReceive, WebsocketSend } from "../scope/types.ts";

/** What a conversation needs of the server around it. */
export interface ConversationOptions {
  /** Completes the handshake. */
  readonly upgrade: (subprotocol: string | undefined) => Promise<WebSocket>;
  /** Refuses it, with an HTTP status. */
  readonly refuse: (status: number) => void;
  /** Told when the client was dropped because it did not read. */
  readonly onDropped: () => void;
  /** Milliseconds between two pings. */
  readonly pingMs: number;
}

/** One WebSocket's receive and send. */
export class Conversation {
  state: "connecting" | "open" | "closed" = "connecting";
  readonly #options: ConversationOptions;
  readonly #queue: WebsocketReceive[] = [{ type: "websocket.connect" }];
  #wake: () => void = () => {};
  #socket: WebSocket | null = null;

  constructor(options: ConversationOptions) {
    this.#options = options;
  }

  receive = async (): Promise<WebsocketReceive> => {
    while (true) {
      const event = this.#queue.shift();
      if (this.#queue.length === 0 && this.state === "open") this.#socket?.resume();
      if (event !== undefined) return event;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  };

  send: Send = async (event: SendEvent) => {
    switch (event.type) {
      case "websocket.accept":
        return await this.#accept(event);
      case "websocket.send":
        return await this.#write(event);
      case "websocket.close":
        if (this.state === "closed") throw new Error("Cannot close a WebSocket twice");
        if (this.state === "connecting") this.#options.refuse(FORBIDDEN);
        return this.close(event.code ?? NORMAL, event.reason);
      case "websocket.http.response.start":
        if (this.state !== "connecting") throw new Error(`Cannot refuse: the WebSocket is ${this.state}`);
        this.#options.refuse(event.status);
        return this.close(NORMAL);
      default:
        throw new TypeError(`Cannot send "${(event as { type: unknown }).type}" on a WebSocket`);
    }
  };

  close(code: number, reason = ""): void {
    const wasClosed = this.state === "closed";
    this.state = "closed";
    const socket = this.#socket;
    if (wasClosed || socket === null) return;
    socket.close(code, reason);
    // A client that does not answer the close is not waited for.
    const timer = setTimeout(() => socket.terminate(), CLOSE_MS);
    socket.once("close", () => clearTimeout(timer));
  }

  async #accept({ subprotocol }: WebsocketSend & { type: "websocket.accept" }): Promise<void> {
    if (this.state !== "connecting" || this.#socket) throw new Error("Cannot accept a WebSocket twice");
    const socket = await this.#options.upgrade(subprotocol).catch((error) => {
      this.state = "closed";
      throw error;
    });
    this.#socket = socket;
    this.state = "open";
    const stopPinging = ping(socket, this.#options.pingMs);
    socket.on("error", () => {});
    socket.on("message", (data: RawData, isBinary: boolean) => {
      const bytes = Buffer.concat([data].flat() as Uint8Array[]);
      this.#push({ type: "websocket.receive", ...(isBinary ? { bytes } : { text: bytes.toString() }) });
      if (this.#queue.length >= MAX_UNREAD) socket.pause();
    });
    socket.once("close", (code: number, reason: Buffer) => {
      stopPinging();
      this.state = "closed";
      this.#push({ type: "websocket.disconnect", code, reason: reason.toString() });
    });
  }

  async #write({ text, bytes }: WebsocketSend & { type: "websocket.send" }): Promise<void> {
    const socket = this.#socket;
    if (this.state !== "open" || socket === null) {
      throw new Error(`Cannot send: the WebSocket is ${this.state}`);
    }
    const data = text ?? bytes;
    if (data === undefined) throw new TypeError("Cannot send nothing: expected text or bytes");
    if (socket.bufferedAmount > MAX_UNSENT_BYTES) {
      socket.terminate();
      this.#options.onDropped();
      throw new Error("Cannot send: the client does not read");
    }
    await new Promise<void>((resolve, reject) => {
      socket.send(data, (error) => error ? reject(error) : resolve());
    });
  }

  #push(event: WebsocketReceive): void {
    this.#queue.push(event);
    this.#wake();
  }
}

/** Pings now and then, and drops a client that has not answered by the next time. Returns the way to stop. */
function ping(socket: WebSocket, intervalMs: number): () => void {
  let isAlive = true;
  socket.on("pong", () => isAlive = true);
  const timer = setInterval(() => {
    if (!isAlive) return socket.terminate();
    isAlive = false;
    socket.ping();
  }, intervalMs);
  return () => clearInterval(timer);
}

/** ASGI: what a `close` before `accept` is to the client. */
const FORBIDDEN = 403;

// RFC 6455 section 7.4.1.
export const NORMAL = 1000;
export const GOING_AWAY = 1001;
export const INTERNAL_ERROR = 1011;

// Messages an app has not taken yet.
const MAX_UNREAD = 16;

// Some 1,500 closing lines: a page in the background reads late, but it reads.
const MAX_UNSENT_BYTES = 1024 * 1024;

// For the client's answer to a close.
const CLOSE_MS = 2_000;
