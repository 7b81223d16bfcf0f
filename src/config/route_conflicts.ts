/** Rules between tables: names, addresses that collide, and routes that lead back to themselves. */

import type { Problem } from "../errors.ts";
import { isListenerConflict, isLoop, isSameListener, type TcpAddress } from "./address.ts";
import { problemAt, type TablePlace } from "./read_table.ts";
import { type ListenerSketch, sharingProblems } from "./shared_address.ts";
import type { Address, Config } from "./types.ts";

/** What could be read of a route; an address that is wrong is missing. */
export interface RouteSketch {
  readonly place: TablePlace & { readonly route: string };
  readonly listener: ListenerSketch["values"] | undefined;
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

/** The same for a configuration that was put together of parts of two, each of which had passed. */
export function findConfigConflicts({ routes, admin }: Config): Problem[] {
  const sketches = routes.map(({ name, index, listener, backend }) => ({
    place: { path: `proxy[${index}]`, route: name },
    listener: {
      bind_address: listener.bindAddress,
      tls_enabled: listener.tlsEnabled,
      server_names: [...listener.serverNames],
      startup_timeout: listener.startupTimeoutMs,
    },
    backend: backend.address,
  }));
  return findConflicts(sketches, admin?.bindAddress);
}

function nameConflict({ place }: RouteSketch, earlier: readonly RouteSketch[]): Problem[] {
  const other = earlier.find((route) => route.place.route === place.route);
  if (other === undefined) return [];
  const message =
    `Cannot use the name "${place.route}" again: ${other.place.path} has it, expected a unique name`;
  return [problemAt(place, "name", message)];
}

function addressConflict(route: RouteSketch, earlier: readonly RouteSketch[]): Problem[] {
  const listener = boundOf(route);
  if (listener === undefined) return [];
  const others = earlier.filter((other) => isConflict(boundOf(other), listener));
  const sharing = others.filter((other) => isSameListener(boundOf(other)!, listener));
  const other = others.find((other) => !sharing.includes(other));
  if (other !== undefined) {
    const message = `Cannot listen on "${show(listener)}" again: route "${other.place.route}" does, ` +
      "expected another address or port";
    return [problemAt(below(route.place, "listener"), "bind_address", message)];
  }
  if (sharing.length === 0) return [];
  return sharingProblems(sketchOf(route), sharing.map(sketchOf), show(listener));
}

function isConflict(one: Address | undefined, other: Address): boolean {
  return one !== undefined && isListenerConflict(one, other);
}

function boundOf({ listener }: RouteSketch): Address | undefined {
  return listener?.bind_address;
}

function sketchOf({ place, listener }: RouteSketch): ListenerSketch {
  return { place: { ...place, path: `${place.path}.listener` }, values: listener ?? {} };
}

function loop(route: RouteSketch): Problem[] {
  const { place, backend } = route;
  const listener = boundOf(route);
  if (listener === undefined || backend === undefined || !isLoop(listener, backend)) return [];
  const message = `Cannot use "${show(backend)}" as backend: it is the address this route listens on`;
  return [problemAt(below(place, "backend"), "address", message)];
}

function adminConflict(admin: TcpAddress | undefined, routes: readonly RouteSketch[]): Problem[] {
  if (admin === undefined) return [];
  const other = routes.find((route) => isConflict(boundOf(route), admin));
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
