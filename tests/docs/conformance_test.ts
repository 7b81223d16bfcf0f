/** What docs/conformance.md cites is there: every file, and every test under the words that are quoted. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const ROOT = new URL("../../", import.meta.url);
const page = await Deno.readTextFile(new URL("docs/conformance.md", ROOT));

Deno.test("every file that conformance.md cites is there", async () => {
  const tests = (await testFiles("tests/")).map((path) => path.split("/").at(-1)!);
  for (const [, cited] of page.matchAll(/`([\w/.]+\.ts|[\w/]+\/)`/g)) {
    if (cited!.startsWith("src/")) assert.ok(await isThere(cited!), cited);
    else if (cited!.endsWith("_test.ts")) assert.ok(tests.includes(cited!), cited);
  }
});

Deno.test("every test that conformance.md quotes is in the file it names", async () => {
  const paths = await testFiles("tests/");
  const quotes = [...page.matchAll(/`(\w+_test\.ts)` "([^"]+)"/g)];
  assert.ok(quotes.length > 8);
  for (const [, file, words] of quotes) {
    const path = paths.find((each) => each.endsWith(`/${file}`));
    assert.ok(path && (await Deno.readTextFile(new URL(path, ROOT))).includes(words!), `${file}: ${words}`);
  }
});

Deno.test("each row of conformance.md names a test", () => {
  const rows = page.split("\n").filter((line) => /^\| (?!-)/.test(line) && !/held by +\|$/.test(line));
  assert.ok(rows.length > 40);
  for (const row of rows) {
    if (row.startsWith("| The Base Protocol") || row.startsWith("| Rationale")) continue;
    assert.match(row, /_test\.ts|as above/i, row);
  }
});

async function testFiles(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
    if (isDirectory) found.push(...await testFiles(`${folder}${name}/`));
    else if (name.endsWith("_test.ts")) found.push(`${folder}${name}`);
  }
  return found;
}

async function isThere(path: string): Promise<boolean> {
  return await Deno.stat(fileURLToPath(new URL(path, ROOT))).then(() => true, () => false);
}
