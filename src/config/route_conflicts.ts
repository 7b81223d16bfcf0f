/** Rules between tables: names, addresses that collide, and routes that lead back to themselves. */

import type { Problem } from "../errors.ts";
import { isListenerConflict, isLoop, type TcpAddress } from "./address.ts";
import { problemAt, type TablePlace } from "./read_table.ts";
import type { Address } from "./types.ts";

/** What could be read of a route; an address that is wrong is missing. */
export interface RouteSketch {
  readonly place: TablePlace & { readonly route: string };
  readonly listener: TcpAddress | undefined;
  readonly backend: Address | undefined;
}

/** Every two routes with one name or one address, every route that dials itself, and the admin server's address. */
export function findConflicts(routes: readonly RouteSketch[], admin: TcpAddress | undefined): Problem[] {
  const conflicts = routes.flatMap((route, index) => {
    const earlier = routes.slice(0, index);
    return [...nameConflict(route, earlier), ...addressConflict(route, earlier), ...loop(route)];
  });
  return [...conflicts, ...adminConflict(admin, routes)];
}

function nameConflict({ place }: RouteSketch, earlier: readonly RouteSketch[]): Problem[] {
  const other = earlier.find((route) => route.place.route === place.route);
  if (other === undefined) return [];
  const message =
    `Cannot use the name "${place.route}" again: ${other.place.path} has it, expected a unique name`;
  return [problemAt(place, "name", message)];
}

function addressConflict({ place, listener }: RouteSketch, earlier: readonly RouteSketch[]): Problem[] {
  if (listener === undefined) return [];
  const other = earlier.find((route) => route.listener && isListenerConflict(route.listener, listener));
  if (other === undefined) return [];
  const message = `Cannot listen on "${show(listener)}" again: route "${other.place.route}" does, ` +
    "expected another address or port";
  return [problemAt(below(place, "listener"), "bind_address", message)];
}

function loop({ place, listener, backend }: RouteSketch): Problem[] {
  if (listener === undefined || backend === undefined || !isLoop(listener, backend)) return [];
  const message = `Cannot use "${show(backend)}" as backend: it is the address this route listens on`;
  return [problemAt(below(place, "backend"), "address", message)];
}

function adminConflict(admin: TcpAddress | undefined, routes: readonly RouteSketch[]): Problem[] {
  if (admin === undefined) return [];
  const other = routes.find((route) => route.listener && isListenerConflict(route.listener, admin));
  if (other === undefined) return [];
  const message = `Cannot listen on "${show(admin)}" again: route "${other.place.route}" does, ` +
    "expected another address or port";
  return [problemAt({ path: "admin" }, "bind_address", message)];
}

function below(place: TablePlace, table: string): TablePlace {
  return { ...place, path: `${place.path}.${table}` };
}

/** The address as the configuration file writes it. */
function show(address: Address): string {
  if (address.kind === "unix") return address.path;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
