/** Decision records have a number each, and whoever cites one cites one that there is. */
import assert from "node:assert/strict";

const FOLDER = new URL("../../docs/decisions/", import.meta.url);
const names = [...Deno.readDirSync(FOLDER)].map(({ name }) => name).toSorted();

Deno.test("each decision record has a number of its own, in its name and in its title", async () => {
  const numbers = names.map((name) => name.slice(0, 4));
  assert.deepEqual(numbers, [...new Set(numbers)]);
  for (const name of names) {
    const [title = ""] = (await Deno.readTextFile(new URL(name, FOLDER))).split("\n");
    assert.ok(title.startsWith(`# ${name.slice(0, 4)}: `), `${name}: ${title}`);
  }
});

Deno.test("every link to a decision record leads to one, under its number", async () => {
  for (const page of ["README.md", "CONTRIBUTING.md", ...await pages()]) {
    const text = await Deno.readTextFile(new URL(`../../${page}`, import.meta.url));
    for (const [, name] of text.matchAll(/decisions\/(\d{4}-[a-z0-9-]+\.md)/g)) {
      assert.ok(names.includes(name!), `${page} links to ${name}`);
    }
    for (const [, number, link] of text.matchAll(/\[decision (\d{4})\]\((?:docs\/)?decisions\/(\d{4})-/g)) {
      assert.equal(number, link, page);
    }
    for (const [, number] of text.matchAll(/decision (\d{4})/g)) {
      assert.ok(names.some((name) => name.startsWith(number!)), `${page} cites decision ${number}`);
    }
  }
});

async function pages(): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of Deno.readDir(new URL("../../docs/", import.meta.url))) {
    if (name.endsWith(".md")) found.push(`docs/${name}`);
  }
  return found;
}
