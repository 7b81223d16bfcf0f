/** The facts of a session as scope/build.ts wants them: plain, without sockets. */

import type { ConnectionFacts } from "../scope/build.ts";
import type { Endpoint } from "../scope/types.ts";
import { formatAddress } from "./socket.ts";
import type { Started } from "./startup.ts";

/** Takes the facts of a session that has sent its StartupMessage. */
export function scopeFacts(started: Started): ConnectionFacts {
  const { id, route, client, socket, packet, clientTls } = started;
  return {
    route: route.config.name,
    connection: id,
    client: readEndpoint(client),
    server: readEndpoint(formatAddress(socket.localAddress, socket.localPort)),
    parameters: packet.kind === "startup_message" ? packet.parameters : NO_PARAMETERS,
    tls: clientTls,
  };
}

/**
 * Takes `address:port` as logs show it apart. An IPv4 client of a listener on `[::]` is an IPv4 client: the system
 * calls it `::ffff:192.0.2.1`, which no rule would be written for.
 */
export function readEndpoint(text: string): Endpoint {
  const separator = text.lastIndexOf(":");
  const host = separator === -1 ? text : text.slice(0, separator).replace(/^\[|\]$/g, "");
  const port = separator === -1 ? 0 : Number(text.slice(separator + 1));
  return [host.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, ""), port];
}

const NO_PARAMETERS: ReadonlyMap<string, string> = new Map();
