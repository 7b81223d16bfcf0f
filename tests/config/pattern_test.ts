import assert from "node:assert/strict";
import fc from "fast-check";
import { readPattern } from "../../src/config/pattern.ts";

const READ:
  readonly (readonly [text: string, kind: "text" | "regex", parts: readonly string[], groups?: number])[] = [
    ["alice", "text", ["alice"]],
    ["a.*b", "text", ["a.*b"]],
    ["CN=a/b/", "text", ["CN=a/b/"]],
    ["\\1", "text", ["", ""]],
    ["app_\\1_\\1", "text", ["app_", "_", ""]],
    ["/a/", "regex", ["a"]],
    ["/(a)(?:b)(?<c>d)(?=e)(?!f)(?<=g)(?<!h)(?i:j)/", "regex", [
      "(a)(?:b)(?<c>d)(?=e)(?!f)(?<=g)(?<!h)(?i:j)",
    ], 2],
    ["/\\(a\\)[()]/", "regex", ["\\(a\\)[()]"]],
    ["/\\1_ro/", "regex", ["", "_ro"]],
    ["/\\\\1/", "regex", ["\\\\1"]],
    ["/[a-z]+\\.[a-z]*\\d{2,}(?:x|y)(a?)?/", "regex", ["[a-z]+\\.[a-z]*\\d{2,}(?:x|y)(a?)?"], 1],
    ["/(?:ab){2}c+(de)*/", "regex", ["(?:ab){2}c+(de)*"], 1],
    ["/a/b/", "regex", ["a/b"]],
    ["/[0-9]{4}-([0-9]{2}:){5}a*?b+?c??(?:d|e|f|g|h|i)/", "regex", [
      "[0-9]{4}-([0-9]{2}:){5}a*?b+?c??(?:d|e|f|g|h|i)",
    ], 1],
    ["/alice|bob|carol|dave|eve|faythe/", "regex", ["alice|bob|carol|dave|eve|faythe"]],
  ];

for (const [text, kind, parts, groups = 0] of READ) {
  Deno.test(`readPattern() reads ${text}`, () => {
    assert.deepEqual(readPattern(text, { takesCapture: true }), { pattern: { kind, parts, groups } });
  });
}

Deno.test("readPattern() leaves \\1 alone where nothing is captured for it", () => {
  assert.deepEqual(readPattern("\\1", { takesCapture: false }), {
    pattern: { kind: "text", parts: ["\\1"], groups: 0 },
  });
  assert.deepEqual(readPattern("/(a)\\1/", { takesCapture: false }), {
    pattern: { kind: "regex", parts: ["(a)\\1"], groups: 1 },
  });
});

const REPEATED = /without repetition or "\|" inside a group that is itself repeated/;

const REFUSED: readonly (readonly [text: string, expected: RegExp])[] = [
  ["", /not empty/],
  ["//", /not empty/],
  ["/", /"\/" at both ends/],
  ["/admin", /"\/" at both ends/],
  ["x".repeat(1_001), /at most 1000 characters/],
  ["/(/", /can be read \(Unterminated group\)/],
  ["/a)|(b/", /can be read \(Unmatched '\)'\)/],
  ["/[/", /can be read \(Unterminated character class\)/],
  ["/a**/", /can be read \(Nothing to repeat\)/],
  ["/\\q/", /can be read \(Invalid escape\)/],
  ["/{/", /can be read/],
  ["/[\\1]/", /^\\1 outside of brackets$/],
  ["/(a+)+/", REPEATED],
  ["/(?:a*)*b/", REPEATED],
  ["/(a|aa)*b/", REPEATED],
  ["/((a|aa))+b/", REPEATED],
  ["/(a?){30}b/", REPEATED],
  ["/(a{1,9}){1,9}/", REPEATED],
  ["/(([a-z])+.)+[A-Z]([a-z])+/", REPEATED],
  ["/(?<n>x+)*/", REPEATED],
  ["/(?:[)]+)+/", REPEATED],
  ["/(\\)+)+/", REPEATED],
  ["/(?=(a+)+b)/", REPEATED],
  ["/.*.*.*.*.*x/", /at most 4 repetitions/],
  ["/a{1,9}a{1,9}a{1,9}a{1,9}a{1,9}x/", /at most 4 repetitions/],
  ["/a?a?a?a?a?aaaaa/", /and 4 choices/],
  ["/(a|a)(a|a)(a|a)(a|a)(a|a)b/", /and 4 choices/],
];

for (const [text, expected] of REFUSED) {
  Deno.test(`readPattern() refuses ${JSON.stringify(text.slice(0, 40))}`, () => {
    const reading = readPattern(text, { takesCapture: true });
    assert.match("expected" in reading ? reading.expected : `read: ${JSON.stringify(reading)}`, expected);
  });
}

Deno.test("readPattern() reads or refuses any text, and what it reads as a regex is one, anchored too", () => {
  const piece = fc.constantFrom(
    "a",
    "b",
    "(",
    ")",
    "(?:",
    "|",
    "*",
    "+",
    "?",
    "{2}",
    "[",
    "]",
    "\\",
    "\\1",
    ".",
    "^",
    "$",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const reading = readPattern(`/${pieces.join("")}/`, { takesCapture: true });
      if ("pattern" in reading && reading.pattern.kind === "regex") {
        const source = reading.pattern.parts.join("(?:x)");
        // Not `^a|b$`: the two would each be anchored on one side only.
        assert.doesNotThrow(() => new RegExp(`^(?:${source})$`, "u"));
        const groups = new RegExp(`(?:${source})|`, "u").exec("")!.length - 1;
        assert.equal(reading.pattern.groups, groups, source);
      }
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("what readPattern() lets pass is quick on the worst of names", () => {
  const piece = fc.constantFrom(
    "a",
    "a*",
    "a+",
    "(a)",
    "(?:a)*",
    "(aa)+",
    ".",
    ".*",
    "[ab]+",
    "a?",
    "(a|b)",
    "{2}",
    "b",
  );
  const name = "a".repeat(63);
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const reading = readPattern(`/${pieces.join("")}c/`, { takesCapture: false });
      if ("expected" in reading) return;
      // A regex that takes exponential time would not come back from this before the test run is killed.
      assert.equal(new RegExp(`^(?:${reading.pattern.parts[0]})$`, "u").test(name), false);
    }),
    { numRuns: 300 },
  );
});
