/** From paths to what answers on them. */

import type { App, HttpScope, Receive, Send, WebsocketReceive, WebsocketScope } from "../scope/types.ts";
import { type Answer, problem, sendAnswer } from "./answer.ts";

/** What is asked. */
export interface Question {
  readonly scope: HttpScope;
  readonly query: URLSearchParams;
}

/** Answers one method of one path. */
export type Handler = (question: Question) => Answer | Promise<Answer>;

/** Holds the conversation on a WebSocket that has said `websocket.connect`. */
export type SocketHandler = (
  scope: WebsocketScope,
  receive: Receive<WebsocketReceive>,
  send: Send,
) => Promise<void>;

/** What one path has to offer. */
export interface Endpoint {
  /** Answers HEAD, too. */
  readonly GET?: Handler;
  readonly POST?: Handler;
  readonly websocket?: SocketHandler;
}

/** Told of each answer; `path` is one of the table, or `""`. */
export type OnAnswer = (path: string, status: number) => void;

/** An app for `http`, `websocket` and `lifespan` that answers by table. */
export function router(endpoints: ReadonlyMap<string, Endpoint>, onAnswer: OnAnswer): App {
  return async (scope, receive, send) => {
    switch (scope.type) {
      case "http":
        return await sendAnswer(scope, send, await answer(scope, endpoints, onAnswer));
      case "websocket":
        await receive();
        return await converse(scope, endpoints, { receive: receive as Receive<WebsocketReceive>, send });
      case "lifespan":
        return await live(receive, send);
      default:
        throw new TypeError(`Cannot serve scope type "${scope.type}": expected http, websocket or lifespan`);
    }
  };
}

async function answer(
  scope: HttpScope,
  endpoints: ReadonlyMap<string, Endpoint>,
  onAnswer: OnAnswer,
): Promise<Answer> {
  const endpoint = endpoints.get(scope.path);
  const found = endpoint === undefined ? problem(404, "Cannot find this path") : await ask(scope, endpoint);
  onAnswer(endpoint === undefined ? "" : scope.path, found.status ?? 200);
  return found;
}

async function ask(scope: HttpScope, endpoint: Endpoint): Promise<Answer> {
  const method = scope.method === "HEAD" ? "GET" : scope.method;
  const handler = method === "GET" || method === "POST" ? endpoint[method] : undefined;
  if (handler !== undefined) return await handler({ scope, query: new URLSearchParams(scope.query_string) });
  if (endpoint.GET === undefined && endpoint.POST === undefined) {
    return problem(426, "Cannot answer without a WebSocket", [["upgrade", "websocket"]]);
  }
  const allowed = [...(endpoint.GET ? ["GET", "HEAD"] : []), ...(endpoint.POST ? ["POST"] : [])].join(", ");
  return problem(405, `Cannot use method ${scope.method} here: expected ${allowed}`, [["allow", allowed]]);
}

async function converse(
  scope: WebsocketScope,
  endpoints: ReadonlyMap<string, Endpoint>,
  { receive, send }: { readonly receive: Receive<WebsocketReceive>; readonly send: Send },
): Promise<void> {
  const endpoint = endpoints.get(scope.path);
  if (endpoint === undefined) return await send({ type: "websocket.http.response.start", status: 404 });
  const handler = endpoint.websocket;
  if (handler === undefined) return await send({ type: "websocket.close" });
  await handler(scope, receive, send);
}

/** There is nothing to prepare or to tidy up. */
async function live(receive: Receive, send: Send): Promise<void> {
  while (true) {
    const { type } = await receive();
    if (type === "lifespan.startup") await send({ type: "lifespan.startup.complete" });
    if (type === "lifespan.shutdown") return await send({ type: "lifespan.shutdown.complete" });
  }
}
