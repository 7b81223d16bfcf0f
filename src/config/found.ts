/** How a message shows what was found, without ever showing what may be secret. */

/**
 * Names a value found in the configuration.
 *
 * Short plain text is shown as it is, since it is what the operator mistyped. Anything else is described by kind alone:
 * a PEM key or a URL with a password may have been pasted into any key.
 */
export function describeFound(value: unknown): string {
  if (typeof value === "string") return describeText(value);
  if (typeof value === "number" || typeof value === "bigint") return `the number ${value}`;
  if (typeof value === "boolean") return `${value}`;
  if (Array.isArray(value)) return describeList(value);
  if (value instanceof Date) return "a date";
  return typeof value === "object" && value !== null ? "a table" : "an empty value";
}

/** Shows a key name: as it is when TOML could write it bare, else quoted, escaped and cut. */
export function showKey(key: string): string {
  return BARE_KEY.test(key) ? key : JSON.stringify(key.slice(0, MAX_SHOWN).replace(UNSAFE, "\ufffd"));
}

/** A short list of texts is shown text by text: which of them is wrong is seen at once. */
function describeList(list: readonly unknown[]): string {
  if (list.length === 0) return "an empty list";
  const isShown = list.length <= MAX_LISTED && list.every((item) => typeof item === "string");
  return isShown ? `the list [${list.map(describeFound).join(", ")}]` : "a list";
}

function describeText(text: string): string {
  if (text === "") return "an empty string";
  return PLAIN.test(text) && !text.includes("//") ? `"${text}"` : `a string of ${text.length} characters`;
}

/** No `@`, `=`, `$` or `//`: these are how passwords, URLs and verifiers look. */
const PLAIN = /^[\w .,:*%+~()[\]/-]{1,64}$/;

const BARE_KEY = /^[A-Za-z0-9_-]{1,64}$/;

const MAX_SHOWN = 64;

const MAX_LISTED = 8;

/** Control and bidirectional characters, which could forge a second line or hide part of the first. */
const UNSAFE = /[\p{Cc}\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;
