/** Text of the peer's, made fit for an operator's log: short, on one line, nothing that can move a cursor. */

import type { DistinguishedName } from "./names.ts";

/** `"CN=alice,O=Example"`, quoted, most specific part first, escaped and at most about 130 characters. */
export function describeName(name: DistinguishedName): string {
  if (name.attributes.length === 0) return "without subject";
  const parts = name.attributes.slice(-MAX_PARTS).reverse().map(({ oid, text }) => {
    return `${SHORT_NAMES[oid] ?? oid.slice(0, MAX_OID)}=${text === null ? "?" : escapeText(text, MAX_PART)}`;
  });
  return `"${parts.join(",").slice(0, MAX_NAME)}"`;
}

/** The text without quotes, controls, separators and invisible characters; cut at `limit` characters. */
export function escapeText(text: string, limit: number): string {
  // Cut first: a certificate can hold 64 KB of it.
  const cut = [...text.slice(0, limit * 2)].slice(0, limit);
  const escaped = cut.map((character) => UNSAFE.test(character) ? escapeCharacter(character) : character)
    .join("");
  return cut.join("").length < text.length ? `${escaped}...` : escaped;
}

/** `2024-01-31T00:00:00Z`. */
export function describeTime(time: number): string {
  return new Date(time).toISOString().replace(".000Z", "Z");
}

function escapeCharacter(character: string): string {
  return `\\u{${character.codePointAt(0)!.toString(16)}}`;
}

const SHORT_NAMES: Readonly<Record<string, string>> = {
  "2.5.4.3": "CN",
  "2.5.4.5": "serialNumber",
  "2.5.4.6": "C",
  "2.5.4.7": "L",
  "2.5.4.8": "ST",
  "2.5.4.10": "O",
  "2.5.4.11": "OU",
  "0.9.2342.19200300.100.1.25": "DC",
  "0.9.2342.19200300.100.1.1": "UID",
  "1.2.840.113549.1.9.1": "emailAddress",
};
/** Controls, format characters (bidirectional overrides), lone surrogates, separators other than space, quotes. */
const UNSAFE = /[\p{C}\p{Zl}\p{Zp}"\\]|[^\S ]/u;
const MAX_PARTS = 6;
const MAX_PART = 64;
const MAX_OID = 40;
const MAX_NAME = 400;
