/**
 * What a rule compares with: a text that must be equal, or a regex that must match from end to end.
 *
 * A regex is written `/regex/`, with the syntax of ECMAScript (flag `u`). It is anchored at both ends: unanchored,
 * `/admin/` would let in `not_an_admin`. Names of users come from strangers, so a regex that could take forever on
 * one of them is refused.
 */

import type { Pattern } from "./types.ts";

/** A pattern, or what was expected of the text instead. */
export type PatternReading = { readonly pattern: Pattern } | { readonly expected: string };

/**
 * Reads a pattern.
 *
 * @param options.takesCapture Whether `\1` stands for a text captured elsewhere, as in `users`.
 */
export function readPattern(text: string, options: { readonly takesCapture: boolean }): PatternReading {
  if (text === "" || text === "//") return { expected: "a text or a /regex/ that is not empty" };
  if (text.length > MAX_LENGTH) return { expected: `at most ${MAX_LENGTH} characters` };
  if (!text.startsWith("/")) {
    return { pattern: { kind: "text", parts: options.takesCapture ? text.split("\\1") : [text], groups: 0 } };
  }
  if (text.length < 2 || !text.endsWith("/")) {
    return { expected: 'a regex with "/" at both ends, or a text without it at the front' };
  }
  return readRegex(text.slice(1, -1), options.takesCapture);
}

function readRegex(source: string, takesCapture: boolean): PatternReading {
  const { groups, captures, cost, hasCaptureInClass } = scan(source);
  if (takesCapture && hasCaptureInClass) return { expected: "\\1 outside of brackets" };
  const at = takesCapture ? captures : [];
  const parts = [-2, ...at].map((start, i) => source.slice(start + 2, at[i] ?? source.length));
  try {
    new RegExp(parts.join("(?:x)"), "u");
  } catch (error) {
    // "Invalid regular expression: /(/u: Unterminated group"
    const reason = error instanceof Error ? error.message.replace(/^.*: /s, "") : "";
    return { expected: `a regex that can be read (${reason})` };
  }
  if (cost !== null) return { expected: cost };
  return { pattern: { kind: "regex", parts, groups } };
}

/** What matters about a regex without understanding it. */
interface Scan {
  /** How many groups capture. */
  groups: number;
  /** Where `\1` stands. */
  readonly captures: number[];
  hasCaptureInClass: boolean;
  /** What would have to be different for it to be quick on every text; `null` if nothing. */
  cost: string | null;
}

/** A group that is open. */
interface Group {
  /** Whether something in it can match one text in several ways. */
  isAmbiguous: boolean;
  hasAlternatives: boolean;
}

/**
 * Walks a regex. Whether it is valid shows elsewhere; an invalid one gives any answer.
 *
 * A backtracking engine tries the ways in which the parts can share a text among them. Repetitions side by side cost
 * the length of the text to the power of their number, choices side by side double the cost each, and a repeated group
 * that is ambiguous itself, `(a+)+` or `(a|aa)*`, is exponential. So the first two are counted, and the third refused.
 */
function scan(source: string): Scan {
  const found: Scan = { groups: 0, captures: [], hasCaptureInClass: false, cost: null };
  const open: Group[] = [{ isAmbiguous: false, hasAlternatives: false }];
  let [repetitions, choices] = [0, 0];
  for (let i = 0; i < source.length; i++) {
    const group = open.at(-1);
    if (group === undefined) return found;
    const character = source[i]!;
    if (character === "\\") {
      if (isCapture(source, i)) found.captures.push(i);
      i++;
    } else if (character === "[") {
      const end = endOfClass(source, i);
      found.hasCaptureInClass ||= /\\1(?!\d)/.test(source.slice(i, end));
      i = end;
    } else if (character === "(") {
      const [head, isCapturing] = groupHead(source, i);
      if (isCapturing) found.groups++;
      open.push({ isAmbiguous: false, hasAlternatives: false });
      i += head.length - 1;
    } else if (character === ")") {
      open.pop();
      if (group.isAmbiguous && /[*+{]/.test(source[i + 1] ?? "")) found.cost = REPEATED_GROUP;
      if (group.hasAlternatives) choices++;
      if (group.isAmbiguous && open.length > 0) open.at(-1)!.isAmbiguous = true;
    } else if (character === "|") {
      group.isAmbiguous = group.hasAlternatives = true;
    } else if (/[*+?{]/.test(character)) {
      const quantifier = QUANTIFIER.exec(source.slice(i))?.[0] ?? character;
      i += quantifier.length - 1;
      if (/^\{\d+\}/.test(quantifier)) continue;
      group.isAmbiguous = true;
      if (character === "?") choices++;
      else repetitions++;
    }
  }
  if (repetitions > MAX_REPETITIONS || choices > MAX_CHOICES) found.cost ??= TOO_AMBIGUOUS;
  return found;
}

/** `\1` alone: `\10` is another group. */
function isCapture(source: string, i: number): boolean {
  return source[i + 1] === "1" && !/\d/.test(source[i + 2] ?? "");
}

function endOfClass(source: string, start: number): number {
  for (let i = start + 1; i < source.length; i++) {
    if (source[i] === "\\") i++;
    else if (source[i] === "]") return i;
  }
  return source.length;
}

/** The opening of a group, and whether it captures: `(`, `(?:`, `(?=`, `(?<!`, `(?<name>`, `(?i-s:`. */
function groupHead(source: string, start: number): [head: string, capturing: boolean] {
  const head = /^\((?:\?(?:[:=!]|<[=!]|<[^>]*>|[ims-]*:))?/.exec(source.slice(start))![0];
  return [head, head === "(" || /^\(\?<[^=!]/.test(head)];
}

const MAX_LENGTH = 1_000;

/** With its mark of laziness. */
const QUANTIFIER = /^(?:[*+?]|\{\d+(?:,\d*)?\})\??/;

/** With 63 bytes of a user's name: 0.8 million ways, times 16 for the choices. */
const MAX_REPETITIONS = 4;
const MAX_CHOICES = 4;

const REPEATED_GROUP =
  'a regex without repetition or "|" inside a group that is itself repeated, which could take forever';

const TOO_AMBIGUOUS =
  `a regex with at most ${MAX_REPETITIONS} repetitions (*, +, {…}) and ${MAX_CHOICES} choices (?, groups with "|")`;
