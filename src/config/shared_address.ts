/** Rules between routes that share an address: the server name in the ClientHello must tell them apart. */

import type { Problem } from "../errors.ts";
import { problemAt, type TablePlace } from "./read_table.ts";
import type { TableReading } from "./read_table.ts";
import type { listenerKeys } from "./schema.ts";

/** A listener as far as it could be read. */
export interface ListenerSketch {
  readonly place: TablePlace & { readonly route: string };
  readonly values: TableReading<typeof listenerKeys>["values"];
}

/**
 * Everything in which `listener` cannot live with the earlier ones of its address.
 *
 * @param address As the file writes it.
 * @param earlier At least one, first the one that decides what all must agree on.
 */
export function sharingProblems(
  listener: ListenerSketch,
  earlier: readonly ListenerSketch[],
  address: string,
): Problem[] {
  const { place, values } = listener;
  const withoutTls = [...earlier, listener].find((other) => other.values.tls_enabled === false);
  if (withoutTls !== undefined) {
    const message =
      `Cannot listen on "${address}" again: route "${earlier[0]!.place.route}" does, and route ` +
      `"${withoutTls.place.route}" has no TLS and so no server name, expected another address or port`;
    return [problemAt(place, "bind_address", message)];
  }
  const names = values.server_names;
  if (names === undefined) return [];
  const problems = names.length === 0
    ? secondDefault(listener, earlier, address)
    : names.flatMap((name, index) =>
      takenName(listener, earlier, { name, isOwn: names.indexOf(name) < index })
    );
  return [...problems, ...disagreements(listener, earlier[0]!)];
}

function secondDefault(
  { place }: ListenerSketch,
  earlier: readonly ListenerSketch[],
  address: string,
): Problem[] {
  const other = earlier.find(({ values }) => values.server_names?.length === 0);
  if (other === undefined) return [];
  const message = `Cannot listen on "${address}" again: route "${other.place.route}" does, ` +
    "expected another address or port, or server_names to tell them apart";
  return [problemAt(place, "bind_address", message)];
}

function takenName(
  { place }: ListenerSketch,
  earlier: readonly ListenerSketch[],
  { name, isOwn }: { readonly name: string; readonly isOwn: boolean },
): Problem[] {
  const other = earlier.find(({ values }) => values.server_names?.includes(name));
  const taker = isOwn ? place.route : other?.place.route;
  if (taker === undefined) return [];
  const message = `Cannot use the server name "${name}" again: route "${taker}" has it on the same address`;
  return [problemAt(place, "server_names", message)];
}

/** What is decided before the name is known. */
function disagreements({ place, values }: ListenerSketch, first: ListenerSketch): Problem[] {
  return COMMON_KEYS.flatMap((key) => {
    const [mine, theirs] = [values[key], first.values[key]];
    if (mine === undefined || theirs === undefined || JSON.stringify(mine) === JSON.stringify(theirs)) {
      return [];
    }
    const message = `Cannot differ from route "${first.place.route}" on the same address: ` +
      "this counts before a server name is known, expected the same value";
    return [problemAt(place, key, message)];
  });
}

const COMMON_KEYS = [
  "startup_timeout",
  "proxy_protocol_from",
] as const satisfies readonly (keyof typeof listenerKeys)[];
