/** Shipped app: who a session belongs to, for everybody who looks at `pg_stat_activity` or the server's log. */

import type { Middleware } from "../compose.ts";
import type { PostgresqlScope, SendEvent } from "../types.ts";
import { verifiedName } from "./allow_names.ts";

/**
 * Puts the verified name in front of `application_name`: `[CN=alice,O=Example] psql`.
 *
 * Square brackets in what the client calls itself become round ones, so none can look like this; without a verified
 * name nothing is put in front. `application_name` is set in every case, because a client can set it in `options`,
 * too, and by any spelling of its name. Later in the session a client may still `SET` it to anything: it tells honest
 * clients apart, and is no proof.
 */
export function nameApplication(): Middleware {
  return (next) => async (scope, receive, send) => {
    if (scope.type !== "postgresql") return void await next(scope, receive, send);
    await next(scope, receive, (event) => send(withName(event, scope)));
  };
}

function withName(event: SendEvent, scope: PostgresqlScope): SendEvent {
  if (event.type !== "postgresql.accept") return event;
  const set = event.parameters?.["application_name"];
  const own = plain(set === undefined ? scope.parameters["application_name"] ?? "" : set ?? "");
  const name = verifiedName(scope);
  const text = name === null ? own : `[${cut(plain(name), MAX_BYTES - "[]".length)}] ${own}`;
  return {
    ...event,
    parameters: { ...event.parameters, application_name: text.slice(0, MAX_BYTES).trimEnd() },
  };
}

/** ASCII alone, as PostgreSQL keeps it in this setting, and no square brackets. */
function plain(text: string): string {
  return text.replace(/[^\x20-\x7e]/gu, "?").replaceAll("[", "(").replaceAll("]", ")");
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - "...".length)}...`;
}

/** NAMEDATALEN - 1: PostgreSQL cuts the rest off. */
const MAX_BYTES = 63;
