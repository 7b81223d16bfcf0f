/** Why an address cannot be listened on, for the operator. */

import type { TcpAddress } from "../config/types.ts";
import { formatAddress } from "../connection/socket.ts";

/** @param error What the system said, with its `code`. */
export function describeBindError({ host, port }: TcpAddress, error: unknown): string {
  const code = (error as { code?: string }).code ?? "";
  const why = BIND_ERRORS[code] ?? (error instanceof Error ? error.message : String(error));
  return `Cannot listen on "${formatAddress(host, port)}": ${why}`;
}

const BIND_ERRORS: Readonly<Record<string, string>> = {
  EADDRINUSE: "address already in use, expected a free one (is another pgtls or PostgreSQL running there?)",
  EACCES: "permission denied, expected a port this user may bind (1024 or above without privileges)",
  EADDRNOTAVAIL: "this machine has no such address, expected one of its own, 0.0.0.0 or [::]",
  ENOTFOUND: "the host name does not resolve",
};
