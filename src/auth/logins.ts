/** What a route keeps for the logins of its clients. */

import type { FileContent } from "../config/read_file.ts";
import type { FileReader } from "../config/snapshot.ts";
import type { RouteConfig, TableFiles } from "../config/types.ts";
import type { Problem } from "../errors.ts";
import type { Loading } from "../tls/material.ts";
import type { Report } from "../tls/material_file.ts";
import type { Attempts } from "./attempts.ts";
import { readUserlist, type Userlist } from "./userlist.ts";
import { type MockSource, mockSource } from "./verifiers.ts";

/** Everything but the counts of wrong passwords is immutable. */
export interface Logins {
  /** `null` unless the route's mode is `scram`. */
  readonly users: Userlist | null;
  /** What users that do not exist look like; `null` without users. */
  readonly mock: MockSource | null;
  readonly attempts: Attempts;
}

/** @param known.keyPem The listener's private key; `null` in plaintext. */
export function openLogins(
  users: Userlist | null,
  { keyPem, attempts }: { readonly keyPem: string | null; readonly attempts: Attempts },
): Logins {
  return { users, mock: users && mockSource(keyPem, users), attempts };
}

/** Where a load reads. */
interface Source {
  readonly files: FileReader;
}

/** Reads password files. One for the life of the process: what has not changed is not read again. */
export class UserlistLoader {
  readonly #known = new WeakMap<FileContent, Userlist>();

  /** The users of a route; `null` for a route without `auth_file`. */
  route({ auth, index, name }: RouteConfig, source: Source): Loading<Userlist | null> {
    const [problems, warnings]: [Problem[], Problem[]] = [[], []];
    const place = { path: `proxy[${index}].auth.auth_file`, route: name };
    const value = auth.authFile === null ? null : this.#read(auth.authFile, source, {
      problem: (message) => problems.push({ ...place, message }),
      warning: (message) => warnings.push({ ...place, message }),
    });
    return problems.length > 0 ? { ok: false, problems } : { ok: true, value, warnings };
  }

  /** What is wrong with the password files of a configuration that is wrong itself. */
  problems(tables: readonly TableFiles[], source: Source): readonly Problem[] {
    const problems: Problem[] = [];
    for (const table of tables) {
      if (!("auth" in table) || table.auth.authFile === null) continue;
      const place = { ...table.place, path: `${table.place.path}.auth_file` };
      const problem = (message: string) => void problems.push({ ...place, message });
      this.#read(table.auth.authFile, source, { problem, warning: () => {} });
    }
    return problems;
  }

  #read(path: string, { files }: Source, report: Report): Userlist | null {
    let content: FileContent;
    try {
      content = files.read(path);
    } catch (error) {
      report.problem((error as Error).message);
      return null;
    }
    warnIfOpen(path, content, report);
    const users = this.#known.get(content) ?? readUserlist(path, content, report);
    if (users !== null) this.#known.set(content, users);
    return users;
  }
}

/** Whoever reads it can pretend to be the server, and try passwords against it. */
function warnIfOpen(path: string, { mode }: FileContent, report: Report): void {
  if ((mode & OPEN_TO_OTHERS) === 0) return;
  const octal = `0${mode.toString(8)}`;
  report.warning(`Password file "${path}" is open to others: its mode is ${octal}, expected 0600 or 0640`);
}

/** Write for the group, anything for the rest of the world. */
const OPEN_TO_OTHERS = 0o027;
