/** `GET /config`: the configuration in force, with every default. It names files, and holds none of what is in them. */

import type { Config } from "../../config/types.ts";
import { json } from "../answer.ts";
import type { Endpoint } from "../router.ts";

/** The configuration under the names of the file; durations are numbers that end in `_ms`. */
export function configEndpoint(config: () => Config): Endpoint {
  return {
    GET: () => {
      const { routes, ...top } = config();
      return json(view({ ...top, proxy: routes }));
    },
  };
}

function view(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(view);
  if (typeof value !== "object" || value === null) return value;
  if ("kind" in value) return viewAddress(value as Address);
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [snakeCase(name), view(inner)]));
}

/** As the file writes it. */
function viewAddress(address: Address): string {
  if (address.kind === "unix") return address.path;
  const { host, port } = address;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

type Address = Config["routes"][number]["backend"]["address"];

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
