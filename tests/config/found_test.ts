import assert from "node:assert/strict";
import fc from "fast-check";
import { describeFound, showKey } from "../../src/config/found.ts";

Deno.test("describeFound shows short plain text and names everything else by kind", () => {
  const shown = ["loud", "", "a@b", "x=1", "https://a", "a\nb", 3, true, [], {}, new Date(0), null].map(
    describeFound,
  );
  assert.deepEqual(shown, [
    '"loud"',
    "an empty string",
    "a string of 3 characters",
    "a string of 3 characters",
    "a string of 9 characters",
    "a string of 3 characters",
    "the number 3",
    "true",
    "an empty list",
    "a table",
    "a date",
    "an empty value",
  ]);
});

Deno.test("describeFound shows a short list of texts, and never what may be secret in it", () => {
  const lists = [["10.0.0.0/33", "banana"], ["ok", "postgres://u:p@h"], ["a", 1], Array(9).fill("a"), [[
    "a",
  ]]];
  assert.deepEqual(lists.map(describeFound), [
    'the list ["10.0.0.0/33", "banana"]',
    'the list ["ok", a string of 16 characters]',
    "a list",
    "a list",
    "a list",
  ]);
});

Deno.test("showKey stays on one line whatever the key is", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (key) => {
    assert.ok(!/[\p{Cc}\u2028\u2029\u202e]/u.test(showKey(key)));
  }));
});
