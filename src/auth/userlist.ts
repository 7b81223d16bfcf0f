/**
 * `auth_file`: users and their SCRAM verifiers, in the format of PgBouncer's userlist.txt.
 *
 * One user a line, `"name" "verifier"`, `""` for a quote inside quotes; `;` and `#` begin a comment.
 * @see {@link https://www.pgbouncer.org/config.html#authentication-file-format | PgBouncer, authentication file format}
 */

import type { FileContent } from "../config/read_file.ts";
import type { Report } from "../tls/material_file.ts";
import { KEY_BYTES, type ScramVerifier } from "../wire/scram.ts";
import { MAX_ITERATIONS } from "../wire/scram_messages.ts";

/** The users of one route. */
export interface Userlist {
  readonly verifiers: ReadonlyMap<string, ScramVerifier>;
  /** What most verifiers have: what a user that does not exist must look like. */
  readonly common: { readonly iterations: number; readonly saltBytes: number };
}

/**
 * Reads the content of an `auth_file`.
 *
 * @returns `null` after reporting every line that cannot be used, by its number; no message ever holds what stands in
 *   the place of a verifier.
 */
export function readUserlist(path: string, content: FileContent, report: Report): Userlist | null {
  const text = decodeText(content.bytes);
  if (text === null) return refuse(report, path, ["it is not UTF-8"]);
  const { verifiers, mistakes } = parseUserlist(text);
  if (mistakes.length > 0) return refuse(report, path, mistakes);
  if (verifiers.size === 0) {
    return refuse(report, path, ['it holds no user, expected lines such as "name" "SCRAM-SHA-256$…"']);
  }
  const all = [...verifiers.values()];
  return {
    verifiers,
    common: {
      iterations: mostCommon(all.map(({ iterations }) => iterations)),
      saltBytes: mostCommon(all.map(({ salt }) => salt.length)),
    },
  };
}

/** Takes the text apart; each mistake is a line number and what is wrong there. */
export function parseUserlist(text: string): { verifiers: Map<string, ScramVerifier>; mistakes: string[] } {
  const verifiers = new Map<string, ScramVerifier>();
  const mistakes: string[] = [];
  const lines = new Map<string, number>();
  for (const [index, line] of text.split("\n").entries()) {
    if (/^\s*(?:[;#].*)?$/.test(line)) continue;
    const number = index + 1;
    const match = ENTRY.exec(line);
    const [user, secret] = [unquote(match?.[1]), unquote(match?.[2])];
    if (user === null || secret === null) {
      mistakes.push(`line ${number} cannot be read, expected "name" "SCRAM-SHA-256$…"`);
      continue;
    }
    const verifier = parseVerifier(secret);
    const known = lines.get(user);
    if (user === "") mistakes.push(`line ${number} has an empty user name`);
    else if (known !== undefined) {
      mistakes.push(`line ${number} has user "${user}" again, after line ${known}`);
    } else if (verifier === null) {
      mistakes.push(`line ${number}: user "${user}" has ${describeSecret(secret)}`);
    } else verifiers.set(user, verifier);
    if (known === undefined) lines.set(user, number);
  }
  return { verifiers, mistakes };
}

/** Reads a verifier as `pg_authid.rolpassword` holds it; `null` if it is anything else. */
export function parseVerifier(text: string): ScramVerifier | null {
  const match = VERIFIER.exec(text);
  if (match === null) return null;
  const iterations = Number(match[1]);
  const [salt, storedKey, serverKey] = match.slice(2).map(decodeBase64);
  if (!salt || !storedKey || !serverKey || iterations > MAX_ITERATIONS) return null;
  if (storedKey.length !== KEY_BYTES || serverKey.length !== KEY_BYTES) return null;
  return { iterations, salt, storedKey, serverKey };
}

function refuse(report: Report, path: string, mistakes: readonly string[]): null {
  for (const mistake of mistakes.slice(0, MAX_MISTAKES)) {
    report.problem(`Cannot use file "${path}": ${mistake}`);
  }
  const more = mistakes.length - MAX_MISTAKES;
  if (more > 0) report.problem(`Cannot use file "${path}": ${more} more lines cannot be used`);
  return null;
}

/** What stands where a verifier belongs, without showing any of it. */
function describeSecret(secret: string): string {
  const expected = "expected a SCRAM verifier, as SELECT rolpassword FROM pg_authid gives it";
  if (secret === "") return `no password, ${expected}`;
  if (/^md5[0-9a-f]{32}$/i.test(secret)) return `an md5 password, ${expected}`;
  if (secret.startsWith("SCRAM-SHA-256$")) return `a malformed SCRAM verifier, ${expected}`;
  return `a plaintext password, ${expected}`;
}

function decodeText(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

function decodeBase64(text: string): Uint8Array | null {
  try {
    return Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
  } catch {
    return null;
  }
}

function unquote(text: string | undefined): string | null {
  return text === undefined || text.includes("\0") ? null : text.replaceAll('""', '"');
}

function mostCommon(values: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  const [best] = [...counts].toSorted(([a, ofA], [b, ofB]) => ofB - ofA || a - b);
  return best![0];
}

const ENTRY = /^\s*"((?:[^"]|"")*)"\s+"((?:[^"]|"")*)"\s*(?:[;#].*)?$/;

const VERIFIER =
  /^SCRAM-SHA-256\$([1-9][0-9]{0,9}):([A-Za-z0-9+/]+={0,2})\$([A-Za-z0-9+/]+=):([A-Za-z0-9+/]+=)$/;

/** A file of the wrong kind has a mistake on every line. */
const MAX_MISTAKES = 20;
