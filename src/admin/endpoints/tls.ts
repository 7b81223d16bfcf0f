/** `/tls`: what the server knows of the TLS of whoever asks, by HTTP and by WebSocket. */

import { json, toJson } from "../answer.ts";
import type { Endpoint } from "../router.ts";

/** The request's own `extensions.tls`; `null` without TLS. */
export function tlsEndpoint(): Endpoint {
  return {
    GET: ({ scope }) => json(scope.extensions.tls ?? null),
    websocket: async (scope, _receive, send) => {
      await send({ type: "websocket.accept" });
      await send({ type: "websocket.send", text: toJson(scope.extensions.tls ?? null) });
      await send({ type: "websocket.close" });
    },
  };
}
