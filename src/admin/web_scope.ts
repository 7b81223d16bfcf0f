/** From a request of node:http to the scope of an app. */

import type { IncomingMessage } from "node:http";
import { buildExtensions } from "../scope/build.ts";
import type { Endpoint, Headers, HttpScope, Versions, WebsocketScope } from "../scope/types.ts";
import type { TlsFacts } from "../tls/record.ts";

/** The two ends of a connection to the admin server, and its TLS. */
export interface Peer {
  readonly client: Endpoint;
  readonly server: Endpoint;
  /** `null` if and only if it is not TLS. */
  readonly tls: TlsFacts | null;
}

/** The scope of a request; `null` if its target is none this server has: not a path, or badly encoded. */
export function httpScope(request: IncomingMessage, peer: Peer): HttpScope | null {
  const common = webScope(request, peer);
  return common && {
    ...common,
    type: "http",
    scheme: peer.tls ? "https" : "http",
    method: (request.method ?? "GET").toUpperCase(),
  };
}

/** The scope of a WebSocket handshake; `null` as in {@linkcode httpScope}. */
export function websocketScope(request: IncomingMessage, peer: Peer): WebsocketScope | null {
  const common = webScope(request, peer);
  if (common === null) return null;
  const offered = valuesOf(common.headers, "sec-websocket-protocol").join(",");
  const subprotocols = offered.split(",").map((name) => name.trim()).filter((name) => name !== "");
  const extensions = Object.freeze({ ...common.extensions, "websocket.http.response": {} });
  return { ...common, type: "websocket", scheme: peer.tls ? "wss" : "ws", subprotocols, extensions };
}

/** The values of every header of this name, which is in lower case. */
export function valuesOf(headers: Headers, name: string): string[] {
  return headers.filter(([each]) => each === name).map(([, value]) => value);
}

type WebScope = Omit<HttpScope, "type" | "scheme" | "method">;

function webScope(request: IncomingMessage, peer: Peer): WebScope | null {
  const target = request.url ?? "";
  // The absolute form is for proxies, the asterisk for OPTIONS (RFC 9112 section 3.2).
  if (!target.startsWith("/")) return null;
  const [raw_path = "", ...query] = target.split("?");
  const path = decodePath(raw_path);
  if (path === null) return null;
  return {
    pagi: VERSIONS,
    http_version: request.httpVersion === "1.0" ? "1.0" : "1.1",
    path,
    raw_path,
    query_string: query.join("?"),
    headers: headersOf(request),
    client: peer.client,
    server: peer.server,
    extensions: buildExtensions(peer.tls),
  };
}

function decodePath(raw: string): string | null {
  try {
    return decodeURIComponent(raw);
  } catch {
    return null;
  }
}

function headersOf({ rawHeaders }: IncomingMessage): Headers {
  const headers: [string, string][] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    headers.push([rawHeaders[i]!.toLowerCase(), rawHeaders[i + 1]!]);
  }
  return headers;
}

const VERSIONS: Versions = { version: "0.1", spec_version: "0.1" };
