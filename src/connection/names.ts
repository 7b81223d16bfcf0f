/** Whom a connection is for: as its first packet says, and as the login was authorized. */

import type { Started } from "./startup.ts";

/** `null` where nobody has said. */
export interface Names {
  readonly user: string | null;
  readonly database: string | null;
}

/** Whom a client's first packet names: a CancelRequest nobody. */
export function namesIn(packet: Started["packet"]): Names {
  if (packet.kind !== "startup_message") return NOBODY;
  const { parameters } = packet;
  const user = parameters.get("user") ?? null;
  // PostgreSQL's own default, for an empty name too.
  return { user, database: parameters.get("database") || user };
}

/** As they went to the backend, and as they were asked for where that is something else. `null` = not so far. */
export function finalNames(requested: Names | null, login: Names | null): FinalNames {
  const asked = requested ?? NOBODY;
  if (login === null) return asked;
  const { user, database } = login;
  return {
    user,
    database,
    ...(asked.user !== user && { requested_user: asked.user ?? "" }),
    ...(asked.database !== database && { requested_database: asked.database ?? "" }),
  };
}

/** As the closing line has them. */
export interface FinalNames extends Names {
  readonly requested_user?: string;
  readonly requested_database?: string;
}

const NOBODY: Names = { user: null, database: null };
