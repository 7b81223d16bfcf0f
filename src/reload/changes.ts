/** What a reload would put in the place of what is in use, and how much of it is new. */

import type { Config } from "../config/types.ts";
import type { Loaded } from "../load.ts";
import type { LoadedAdmin, LoadedRoute } from "../load_parts.ts";

/** How two loads differ. */
export interface Changes {
  /** Names of routes. */
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  /** Whether there is anything to publish: also a top-level key, the admin server, or a route's place in the file. */
  readonly any: boolean;
}

/** Puts together what is to be served; its configuration says what of `wanted` that really is. */
export function compose(
  wanted: Config,
  parts: { readonly routes: readonly LoadedRoute[]; readonly admin: LoadedAdmin | null },
): Loaded {
  const { routes, admin } = parts;
  const config = {
    ...wanted,
    routes: routes.map((route) => route.config),
    admin: admin?.config ?? null,
  };
  return { config, routes, admin, warnings: [] };
}

/** As `after`, with the parts of these names (`null`: the admin server) as they were before, or not there. */
export function without(after: Loaded, names: ReadonlySet<string | null>, before: Loaded): Loaded {
  if (names.size === 0) return after;
  const routes = after.routes.flatMap((route) => {
    if (!names.has(nameOf(route))) return [route];
    return before.routes.filter((old) => nameOf(old) === nameOf(route));
  });
  return compose(after.config, { routes, admin: names.has(null) ? before.admin : after.admin });
}

export function changesOf(before: Loaded, after: Loaded): Changes {
  const old = byName(before);
  const fresh = byName(after);
  const kept = after.routes.filter(({ config }) => old.has(config.name));
  return {
    added: after.routes.filter((route) => !old.has(route.config.name)).map(nameOf),
    changed: kept.filter((route) => old.get(nameOf(route))!.material !== route.material).map(nameOf),
    removed: before.routes.filter((route) => !fresh.has(nameOf(route))).map(nameOf),
    any: JSON.stringify(before.config) !== JSON.stringify(after.config) || before.admin !== after.admin ||
      kept.some((route) => old.get(nameOf(route)) !== route),
  };
}

function byName({ routes }: Loaded): ReadonlyMap<string, LoadedRoute> {
  return new Map(routes.map((route) => [nameOf(route), route]));
}

function nameOf({ config }: LoadedRoute): string {
  return config.name;
}
