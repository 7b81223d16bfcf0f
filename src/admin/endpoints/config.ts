/** `GET /config`: the configuration in force, with every default. It names files, and holds none of what is in them. */

import type { Address, Config, Pattern } from "../../config/types.ts";
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
  if ("kind" in value) return text(value as Address | Pattern);
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [snakeCase(name), view(inner)]));
}

/** An address or a pattern as the file writes it. */
function text(value: Address | Pattern): string {
  switch (value.kind) {
    case "tcp":
      return value.host.includes(":") ? `[${value.host}]:${value.port}` : `${value.host}:${value.port}`;
    case "unix":
      return value.path;
    case "text":
      return value.parts.join("\\1");
    case "regex":
      return `/${value.parts.join("\\1")}/`;
  }
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
