/**
 * One HTTP request through an app: scope, receive, send, and an answer for every way in which an app can go wrong.
 *
 * The whole request is read before the app is called, so that the limit on its body holds whatever the app does.
 */

import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { App, HttpReceive, HttpSend, Receive, Send, SendEvent } from "../scope/types.ts";
import { httpScope, type Peer } from "./web_scope.ts";

/** What a request needs of the server around it. */
export interface RequestOptions {
  readonly peer: Peer;
  /** Told of what the app should not have done. */
  readonly onError: (error: unknown) => void;
  /** Told when the request is complete. */
  readonly onRead: () => void;
}

/** Runs the app for one request. Never rejects; the connection is closed afterwards. */
export async function serveRequest(
  app: App,
  { request, response }: { readonly request: IncomingMessage; readonly response: ServerResponse },
  { peer, onError, onRead }: RequestOptions,
): Promise<void> {
  response.shouldKeepAlive = false;
  for (const [name, value] of SECURITY_HEADERS) response.setHeader(name, value);
  const scope = httpScope(request, peer);
  if (scope === null) return answerPlainly(response, 400, "Cannot use the request target: expected a path");
  const body = await readBody(request);
  if (body === "unfinished") return void response.destroy();
  if (body === "too_long") {
    const message = `Cannot take the request: its body is over ${MAX_BODY_BYTES} bytes`;
    return answerPlainly(response, 413, message);
  }
  onRead();
  const exchange = new Exchange(response, body);
  try {
    await app(scope, exchange.receive as Receive, exchange.send);
    if (exchange.state === "waiting") throw new Error("App returned without starting a response");
    if (exchange.state === "started") throw new Error("App returned without completing its response");
  } catch (error) {
    // Nobody is left to answer, and an app may well stumble over that.
    if (response.destroyed) return;
    onError(error);
    if (exchange.state === "waiting") answerPlainly(response, 500, "Internal error in pgtls");
    else if (exchange.state === "started") response.destroy();
  }
}

/** Answers without an app. */
export function answerPlainly(response: ServerResponse, status: number, error: string): void {
  for (const [name, value] of SECURITY_HEADERS) response.setHeader(name, value);
  response.shouldKeepAlive = false;
  response.statusCode = status;
  response.setHeader("content-type", "application/json");
  response.end(`${JSON.stringify({ error })}\n`);
}

/** One request's receive and send, and how far its response is. */
class Exchange {
  state: "waiting" | "started" | "done" = "waiting";
  readonly #response: ServerResponse;
  readonly #closed: Promise<void>;
  #body: Uint8Array | null;

  constructor(response: ServerResponse, body: Uint8Array) {
    this.#response = response;
    this.#body = body;
    this.#closed = new Promise((resolve) => response.once("close", () => resolve()));
  }

  receive = async (): Promise<HttpReceive> => {
    const body = this.#body;
    this.#body = null;
    if (body !== null) return { type: "http.request", body, more: false };
    await this.#closed;
    return { type: "http.disconnect" };
  };

  send: Send = async (event: SendEvent) => {
    if (this.#response.destroyed && this.state !== "done") {
      throw new Error("Cannot send: the client has gone");
    }
    if (event.type === "http.response.start") return this.#start(event);
    if (event.type === "http.response.body") return await this.#write(event);
    throw new TypeError(`Cannot send "${(event as { type: unknown }).type}" on an HTTP request`);
  };

  #start({ status, headers = [] }: HttpSend & { type: "http.response.start" }): void {
    if (this.state !== "waiting") throw new Error("Cannot start a response twice");
    if (!Number.isInteger(status) || status < 200 || status > 599) {
      throw new RangeError(`Cannot answer with status ${status}: expected 200 to 599`);
    }
    for (const [name, value] of headers) this.#response.appendHeader(name, value);
    this.#response.statusCode = status;
    this.state = "started";
  }

  async #write({ body = "", more = false }: HttpSend & { type: "http.response.body" }): Promise<void> {
    if (this.state !== "started") {
      throw new Error(
        `Cannot send a body: the response is ${this.state === "done" ? "complete" : "not started"}`,
      );
    }
    if (!more) {
      this.state = "done";
      this.#response.end(body);
      return;
    }
    if (this.#response.write(body)) return;
    await Promise.race([new Promise<void>((resolve) => this.#response.once("drain", resolve)), this.#closed]);
  }
}

/** The whole body, or why there is none. */
function readBody(request: IncomingMessage): Promise<Uint8Array | "too_long" | "unfinished"> {
  return new Promise((resolve) => {
    if (Number(request.headers["content-length"] ?? 0) > MAX_BODY_BYTES) return resolve("too_long");
    const pieces: Uint8Array[] = [];
    let length = 0;
    request.on("data", (piece: Uint8Array) => {
      length += piece.length;
      if (length > MAX_BODY_BYTES) return resolve("too_long");
      pieces.push(piece);
    });
    request.on("end", () => resolve(Buffer.concat(pieces)));
    request.on("error", () => resolve("unfinished"));
    request.on("close", () => resolve("unfinished"));
  });
}

/**
 * For browsers, which may show more than one site at a time: nothing is guessed, kept, framed, or loaded from or for
 * elsewhere. `connect-src 'self'` covers the WebSocket.
 */
const SECURITY_HEADERS: readonly (readonly [name: string, value: string])[] = [
  ["cache-control", "no-store"],
  [
    "content-security-policy",
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  ],
  ["cross-origin-opener-policy", "same-origin"],
  ["cross-origin-resource-policy", "same-origin"],
  ["referrer-policy", "no-referrer"],
  ["x-content-type-options", "nosniff"],
  ["x-frame-options", "DENY"],
];

// No endpoint reads one; this is what an HTTP client may send along out of habit.
const MAX_BODY_BYTES = 64 * 1024;
