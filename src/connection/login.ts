/** What a session says to the backend: the client's StartupMessage, or what an app made of it. */

import { StageError } from "../errors.ts";
import { MAX_NAME_BYTES } from "../scope/decision.ts";
import { editStartupMessage } from "../wire/startup_edit.ts";
import type { StartupMessage } from "../wire/startup_packet.ts";

/** A session's login at the backend. */
export interface Login {
  readonly user: string;
  readonly database: string;
  /** The StartupMessage, whole. */
  readonly bytes: Uint8Array;
}

/** The login the client asks for, byte for byte. */
export function loginOf({ parameters, bytes }: StartupMessage): Login {
  const user = parameters.get("user") ?? "";
  // PostgreSQL's own default, for an empty name too.
  return { user, database: parameters.get("database") || user, bytes };
}

/** What an app wants of the StartupMessage. */
export interface LoginChanges {
  /** `null` = the client's. */
  readonly user: string | null;
  /** Parameters to set, or with `null` to remove. */
  readonly parameters: ReadonlyMap<string, string | null>;
}

/**
 * The login as an app changed it.
 *
 * The database the app was asked about is the one that is used: where only its default, the user's name, stood for
 * it, it is spelled out before another user takes that name's place.
 *
 * @throws {StageError} `app_failed`, if there is no such StartupMessage.
 */
export function changeLogin(packet: StartupMessage, { user, parameters }: LoginChanges): Login {
  const asked = loginOf(packet);
  const changes = new Map(parameters);
  if (user !== null && user !== asked.user) changes.set("user", user);
  if (changes.has("user") && !changes.has("database") && !packet.parameters.get("database")) {
    changes.set("database", asked.database);
  }
  const login = { user: user ?? asked.user, database: databaseOf(changes, asked, user) };
  try {
    return { ...login, bytes: editStartupMessage(packet, changes) };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new StageError("app_failed", `App asked for too much: ${error.message}`, { cause: error });
  }
}

function databaseOf(changes: ReadonlyMap<string, string | null>, asked: Login, user: string | null): string {
  const database = changes.get("database");
  if (database === undefined) return asked.database;
  // Removed: PostgreSQL's default is what is left.
  return database ?? user ?? asked.user;
}

/**
 * Refuses names that PostgreSQL could read as others than the ones that are about to be decided on: it cuts them
 * after 63 bytes, and bytes that are not UTF-8 all look alike here.
 *
 * @throws {StageError} `rule_denied`.
 */
export function requirePlainNames({ parameters }: StartupMessage): void {
  for (const name of ["user", "database"]) {
    const value = parameters.get(name) ?? "";
    const what = `${name} name`;
    if (value.includes("\ufffd")) {
      throw new StageError("rule_denied", `Cannot decide about a ${what} that is not UTF-8`);
    }
    const bytes = new TextEncoder().encode(value).length;
    if (bytes > MAX_NAME_BYTES) {
      throw new StageError(
        "rule_denied",
        `Cannot decide about a ${what} of ${bytes} bytes: PostgreSQL cuts it after ${MAX_NAME_BYTES}`,
      );
    }
  }
}
