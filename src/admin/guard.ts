/**
 * Keeps browsers from being used against the admin server by the sites they show.
 *
 * Where no client certificate is required, reaching the port is all it takes, and any page can make a browser on this
 * machine reach it. Two ways are closed: a name of the attacker's that resolves to this machine (DNS rebinding; then
 * the Host is that name), and requests from another origin (then the browser says so, in Origin or Sec-Fetch-Site).
 * Programs that are not browsers send neither header.
 */

import type { App, Headers, HttpScope, WebsocketScope } from "../scope/types.ts";
import { problem, sendAnswer } from "./answer.ts";
import { valuesOf } from "./web_scope.ts";

/** Options of {@linkcode guard}. */
export interface GuardOptions {
  /** Whether a host name or IP address, without port, is one of this server's; `null` = any may be. */
  readonly isOwnHost: ((host: string) => boolean) | null;
  /** Told of each refusal. */
  readonly onRefused: (client: string, detail: string) => void;
}

/** Wraps an app so that it sees only requests that no foreign site has made. */
export function guard(app: App, { isOwnHost, onRefused }: GuardOptions): App {
  return async (scope, receive, send) => {
    const isWeb = scope.type === "http" || scope.type === "websocket";
    const why = isWeb ? foreignHost(scope, isOwnHost) ?? foreignOrigin(scope) : null;
    if (!isWeb || why === null) return void await app(scope, receive, send);
    onRefused(`${scope.client[0]}:${scope.client[1]}`, why);
    if (scope.type === "http") await sendAnswer(scope, send, problem(403, why));
    else await send({ type: "websocket.close" });
  };
}

function foreignHost({ headers }: Scope, isOwnHost: GuardOptions["isOwnHost"]): string | null {
  const hosts = valuesOf(headers, "host");
  const [host] = hosts;
  if (host === undefined || hosts.length > 1) return "Cannot serve a request without exactly one Host header";
  if (isOwnHost === null) return null;
  const name = nameOf(host);
  if (name !== null && isOwnHost(name)) return null;
  return "Cannot serve this Host: expected localhost, a loopback address or a name of this server";
}

function foreignOrigin(scope: Scope): string | null {
  const { headers } = scope;
  const [site] = valuesOf(headers, "sec-fetch-site");
  // Somebody may follow a link to the page; whatever else another site asks for is not asked by a person.
  const isVisit = scope.type === "http" && scope.method === "GET" && isNavigation(headers);
  if (site !== undefined && site !== "same-origin" && site !== "none" && !isVisit) return CROSS_ORIGIN;
  const own = `${pageScheme(scope)}://${valuesOf(headers, "host")[0]}`;
  return valuesOf(headers, "origin").every((origin) => origin === own) ? null : CROSS_ORIGIN;
}

function isNavigation(headers: Headers): boolean {
  return valuesOf(headers, "sec-fetch-mode")[0] === "navigate" &&
    valuesOf(headers, "sec-fetch-dest")[0] === "document";
}

/** The scheme of the page that may ask: a WebSocket's own differs. */
function pageScheme({ scheme }: Scope): string {
  return scheme === "https" || scheme === "wss" ? "https" : "http";
}

/** The host without its port and brackets, in lower case; `null` if it is none. */
function nameOf(host: string): string | null {
  const [, bracketed, plain] = HOST.exec(host) ?? [];
  return (bracketed ?? plain)?.toLowerCase() ?? null;
}

type Scope = HttpScope | WebsocketScope;

const HOST = /^(?:\[([0-9a-f:.]+)\]|([^:[\]/@?#\s]+))(?::\d{1,5})?$/i;

const CROSS_ORIGIN = "Cannot serve a request of another site: expected the same origin";
