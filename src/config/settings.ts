/**
 * The kinds of value a configuration key can hold, as zod types.
 *
 * The `error` of each is what was *expected*; `read_table.ts` puts what was found in front of it. Defaults are written as
 * the file would write them (`prefault`), so the JSON Schema can show them.
 */

import { z } from "zod";
import {
  parseBackendAddress,
  parseListenAddress,
  parseServerName,
  parseServerNamePattern,
  parseTcpAddress,
} from "./address.ts";
import { formatIpRange, parseIpRange } from "../ip_address.ts";
import { DURATION_PATTERN, parseDuration } from "./duration.ts";
import { readPattern } from "./pattern.ts";

/** The name of a file, relative to the folder of the configuration file. */
export function fileName(expected = "the name of a file") {
  return z.string({ error: expected }).max(4096, { error: expected }).regex(FILE_NAME, { error: expected });
}

/** `true` or `false`. */
export function flag() {
  return z.boolean({ error: "true or false" });
}

/** One of a few words. */
export function choice<const Words extends readonly [string, ...string[]]>(words: Words) {
  return z.enum(words, { error: `one of ${words.map((word) => `"${word}"`).join(", ")}` });
}

/** `false`, `true` or `"optional"`. */
export function mtls() {
  return z.union([z.boolean(), z.literal("optional")], { error: 'one of false, true, "optional"' });
}

/** A whole number within bounds. */
export function count(minimum: number, maximum: number, expected = wholeNumber(minimum, maximum)) {
  return z.int({ error: expected }).min(minimum, { error: expected }).max(maximum, { error: expected });
}

/** `"auto"` or a whole number within bounds. */
export function autoOr(minimum: number, maximum: number) {
  const expected = `"auto" or ${wholeNumber(minimum, maximum)}`;
  // A number out of range is reported by its own branch of the union.
  return z.union([z.literal("auto"), count(minimum, maximum, expected)], { error: expected });
}

/**
 * A duration, in milliseconds once read.
 *
 * @param longest The longest one allowed, as the file writes it.
 */
export function duration(longest: string, options: { readonly zero: boolean }) {
  const expected = 'a duration with a unit (ms, s, m or h), such as "10s"';
  const maximum = parseDuration(longest) ?? 0;
  const range = options.zero ? `a duration of at most "${longest}"` : `a duration from "1ms" to "${longest}"`;
  return z.string({ error: expected }).regex(DURATION_PATTERN, { error: expected }).transform(
    (text, context) => {
      const milliseconds = parseDuration(text);
      if (milliseconds !== null && milliseconds <= maximum && (options.zero || milliseconds > 0)) {
        return milliseconds;
      }
      context.issues.push({ code: "custom", message: range, input: text });
      return z.NEVER;
    },
  );
}

/** Where the admin server is bound: host and port, port 0 = any free one. */
export function bindAddress() {
  return parsed('an address such as "127.0.0.1:9432", "[::1]:9432" or "localhost:9432"', parseTcpAddress);
}

/** Where a listener is bound: host and port, port 0 = any free one, or the absolute path of a unix socket. */
export function listenAddress() {
  const expected = 'an address such as "0.0.0.0:6432", "[::]:6432" or "localhost:6432", ' +
    'or the absolute path of a socket such as "/run/pgtls/.s.PGSQL.6432"';
  return parsed(expected, parseListenAddress);
}

/** Where a backend is: host and port, or the absolute path of a unix socket. */
export function backendAddress() {
  const expected = 'an address such as "db.internal:5432" or "[::1]:5432", ' +
    'or the absolute path of a socket such as "/run/postgresql/.s.PGSQL.5432"';
  return parsed(expected, parseBackendAddress);
}

/** A DNS name or an IP address. */
export function serverName() {
  return parsed("a DNS name or an IP address, without port", parseServerName);
}

/** Names that clients send as SNI: DNS names, or `*.` and a DNS name. */
export function serverNames() {
  const expected = 'a list of DNS names such as "db1.example.com" or "*.example.com"';
  return z.array(parsed(expected, parseServerNamePattern), { error: expected }).max(1_000, {
    error: expected,
  });
}

/** A pattern, or a list of patterns of which one is enough. */
export function patterns(options: { readonly takesCapture: boolean } = { takesCapture: false }) {
  const expected = "a text, a /regex/, or a list of them that is not empty";
  return listOf(expected, (text) => {
    const reading = readPattern(text, options);
    return "pattern" in reading ? { value: reading.pattern } : reading;
  });
}

/** An IP address or range, or a list of them; in CIDR notation once read. */
export function addressRanges() {
  const expected = 'an IP address or range such as "10.0.0.0/8", or a list of them that is not empty';
  return listOf(expected, (text) => {
    const range = parseIpRange(text);
    return range === null
      ? { expected: 'an IP address or range such as "10.0.0.0/8", without bits set behind the prefix' }
      : { value: formatIpRange(range) };
  });
}

/** One or several of a kind; always a list once read. */
function listOf<Value>(
  expected: string,
  read: (text: string) => { readonly value: Value } | { readonly expected: string },
) {
  const texts = z.array(z.string({ error: expected }), { error: expected }).min(1, { error: expected });
  return z.union([z.string(), texts.max(MAX_LIST, { error: `at most ${MAX_LIST} entries` })], {
    error: expected,
  })
    .transform((given, context) => {
      const values: Value[] = [];
      for (const text of typeof given === "string" ? [given] : given) {
        const reading = read(text);
        if ("value" in reading) values.push(reading.value);
        else context.issues.push({ code: "custom", message: reading.expected, input: text });
      }
      return values;
    });
}

/** IP ranges, in CIDR notation once read. */
export function ipRanges() {
  const expected =
    'a list of IP ranges such as "10.0.0.0/8" or "2001:db8::/32", without bits set behind the prefix';
  const range = parsed(expected, (text) => {
    const range = parseIpRange(text);
    return range && formatIpRange(range);
  });
  return z.array(range, { error: expected }).max(1_000, { error: expected });
}

/** The name of a route, as logs and metrics show it. */
export function routeName() {
  const expected = "a name of 1 to 64 printable characters";
  return z.string({ error: expected }).regex(ROUTE_NAME, { error: expected });
}

function wholeNumber(minimum: number, maximum: number): string {
  return `a whole number from ${minimum} to ${maximum}`;
}

function parsed<Value>(expected: string, parse: (text: string) => Value | null) {
  return z.string({ error: expected }).transform((text, context) => {
    const value = parse(text);
    if (value !== null) return value;
    context.issues.push({ code: "custom", message: expected, input: text });
    return z.NEVER;
  });
}

// deno-lint-ignore no-control-regex
const FILE_NAME = /^[^\u0000-\u001f\u007f]+$/;

const MAX_LIST = 10_000;

/** Printable ASCII; no space at either end, where nobody would see it; no `"`, which would break quoting. */
const ROUTE_NAME = /^[!#-~](?:[ !#-~]{0,62}[!#-~])?$/;
