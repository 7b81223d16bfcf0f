/** WebSocket `/events`: what happens, as it happens, one JSON object a message; `?level=info` leaves out the quieter ones. */

import type { Feed } from "../../observe/feed.ts";
import { LEVELS } from "../../observe/levels.ts";
import type { Receive, Send, WebsocketReceive, WebsocketScope } from "../../scope/types.ts";
import type { Endpoint } from "../router.ts";

/** The events of `feed`, until the client leaves. */
export function eventsEndpoint(feed: Feed): Endpoint {
  return { websocket: (scope, receive, send) => converse(feed, scope, { receive, send }) };
}

async function converse(
  feed: Feed,
  scope: WebsocketScope,
  { receive, send }: { readonly receive: Receive<WebsocketReceive>; readonly send: Send },
): Promise<void> {
  const wanted = new URLSearchParams(scope.query_string).get("level") ?? "debug";
  const level = LEVELS.find((each) => each === wanted);
  await send({ type: "websocket.accept" });
  if (level === undefined) {
    const reason = `Cannot use the level: expected one of ${LEVELS.join(", ")}`;
    return await send({ type: "websocket.close", code: POLICY_VIOLATION, reason });
  }
  // A client that has gone, or does not read, is noticed by the server; its events are lost either way.
  const stop = feed.listen((text) => void send({ type: "websocket.send", text }).catch(() => {}), level);
  try {
    while ((await receive()).type !== "websocket.disconnect");
  } finally {
    stop();
  }
}

// RFC 6455 section 7.4.1.
const POLICY_VIOLATION = 1008;
