import assert from "node:assert/strict";
import { fileURLToPath, pathToFileURL } from "node:url";
import { buildPage } from "../../tools/build_page.ts";
import { PAGE_ASSETS } from "../../src/admin/page/assets.ts";

Deno.test("built/page.js is what deno task page writes", async () => {
  const built = Deno.readTextFileSync(new URL("../../src/admin/page/built/page.js", import.meta.url));
  assert.ok(built === await buildPage(), "stale: run deno task page");
});

Deno.test("deno bundle, and so the executable, carries the page's files", async () => {
  const output = await Deno.makeTempFile({ suffix: ".js" });
  try {
    const entry = fileURLToPath(new URL("assets.ts", FOLDER));
    const args = ["bundle", "--quiet", "--platform", "deno", "-o", output, entry];
    const { success } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" }).output();
    assert.ok(success);
    const bundled = await import(pathToFileURL(output).href) as { PAGE_ASSETS: typeof PAGE_ASSETS };
    assert.deepEqual(bundled.PAGE_ASSETS, PAGE_ASSETS);
  } finally {
    await Deno.remove(output);
  }
});

Deno.test("the page asks for nothing but its own files, and has nothing inline", () => {
  const html = PAGE_ASSETS["/"]!.body;
  const addresses = [...html.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, address]) => address);
  assert.ok(addresses.includes("page.js") && addresses.includes("page.css"));
  for (const address of addresses) assert.match(address!, /^[a-z]+(\.[a-z]+)?$/);
  assert.doesNotMatch(html, /<style|style=|\son\w+=/);
  assert.doesNotMatch(html, /<script(?![^>]*src=)/);
  assert.doesNotMatch(PAGE_ASSETS["/page.css"]!.body, /url\(|@import/);
});

Deno.test("the page's program writes no HTML from text and evaluates none", () => {
  const sources = [...Deno.readDirSync(FOLDER)].filter(({ name }) => /\.tsx?$/.test(name));
  assert.ok(sources.length > 20);
  for (const { name } of sources) {
    const text = Deno.readTextFileSync(new URL(name, FOLDER));
    assert.doesNotMatch(
      text,
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function/,
      name,
    );
  }
});

Deno.test("page.js fits in the first round trips: under 150 kB as it is, without a source map", () => {
  const { body } = PAGE_ASSETS["/page.js"]!;
  assert.ok(body.length < 150_000, `${body.length} characters`);
  assert.doesNotMatch(body, /sourceMappingURL/);
});

const FOLDER = new URL("../../src/admin/page/", import.meta.url);
