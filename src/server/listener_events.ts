/** What is told of a listener. */

import type { Address, RouteConfig } from "../config/types.ts";
import { describeAddress } from "../connection/socket.ts";
import type { PgtlsEvent } from "../observe/events.ts";
import type { BoundAddress } from "./serving.ts";

export type ListenerEvent = "listener.bound" | "listener.closed";

/**
 * One event for each route that is reached through it.
 *
 * @param address As bound.
 */
export function listenerEvents(
  event: ListenerEvent,
  address: Address,
  routes: readonly { readonly config: RouteConfig }[],
): PgtlsEvent[] {
  return routes.map(({ config: { name: route, backend } }) => ({
    event,
    route,
    address: describeAddress(address),
    backend: describeAddress(backend.address),
  }));
}

/** @param address As bound. A socket file is a host without a port. */
export function boundAddress(
  { name: route, index }: RouteConfig,
  address: Address,
): BoundAddress {
  const { host, port } = address.kind === "unix" ? { host: address.path, port: 0 } : address;
  return { route, index, host, port };
}
