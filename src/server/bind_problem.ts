/** Why an address cannot be listened on, for the operator. */

import type { Address, RouteConfig } from "../config/types.ts";
import { describeAddress } from "../connection/socket.ts";
import type { Problem } from "../errors.ts";

/** The same, as a problem of the route that is to listen there. */
export function bindProblem({ index, name, listener }: RouteConfig, error: unknown): Problem {
  const path = `proxy[${index}].listener.bind_address`;
  return { path, route: name, message: describeBindError(listener.bindAddress, error) };
}

/** @param error What the system said, with its `code`. */
export function describeBindError(address: Address, error: unknown): string {
  const code = (error as { code?: string }).code ?? "";
  const why = BIND_ERRORS[code] ?? (error instanceof Error ? error.message : String(error));
  return `Cannot listen on "${describeAddress(address)}": ${why}`;
}

const BIND_ERRORS: Readonly<Record<string, string>> = {
  EADDRINUSE: "address already in use, expected a free one (is another pgtls or PostgreSQL running there?)",
  EACCES: "permission denied, expected a port this user may bind (1024 or above without privileges), " +
    "or a folder it may write to",
  EADDRNOTAVAIL: "this machine has no such address, expected one of its own, 0.0.0.0 or [::]",
  ENOENT: "there is no such folder, expected one that exists",
  ENOTFOUND: "the host name does not resolve",
};
