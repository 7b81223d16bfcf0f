/** Shipped app: only these certificates. */

import type { Middleware } from "../compose.ts";
import type { PostgresqlScope } from "../types.ts";

/**
 * Passes on sessions whose verified certificate has one of these subjects, and refuses all others.
 *
 * @param names RFC 4514, exactly as in `client_cert_name` and in the log: `"CN=alice,O=Example"`. `[]` = nobody.
 */
export function allowNames(names: readonly string[]): Middleware {
  const allowed = new Set(names);
  return (next) => async (scope, receive, send) => {
    if (scope.type !== "postgresql") return void await next(scope, receive, send);
    const name = verifiedName(scope);
    if (name !== null && allowed.has(name)) return void await next(scope, receive, send);
    await receive();
    const detail = name === null
      ? "No verified certificate"
      : `Certificate "${name}" is not one of those allowed`;
    await send({ type: "postgresql.reject", detail });
  };
}

/** Who the client is, if its certificate was verified: `null` without one, and with one that was refused. */
export function verifiedName({ extensions: { tls } }: PostgresqlScope): string | null {
  return tls !== undefined && tls.client_cert_error === null ? tls.client_cert_name : null;
}
