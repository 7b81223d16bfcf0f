import assert from "node:assert/strict";
import { join } from "node:path";
import { Snapshot } from "../../src/config/snapshot.ts";
import { loadApp, readVersion } from "../../src/scope/load_app.ts";

/** What is wrong with an app file, and what the operator is told. */
const MISTAKES: Readonly<Record<string, readonly [name: string, source: string | null, message: RegExp]>> = {
  "does not exist": ["app.ts", null, /^Cannot read file ".*\/app\.ts": it does not exist$/],
  "does not parse, in TypeScript": [
    "app.ts",
    "export default function (: number",
    /^Cannot load app ".*\/app\.ts": it does not parse: Unexpected token .* at app\.ts:1:26$/,
  ],
  "does not parse, in JavaScript": [
    "app.js",
    "\nexport default 3 +;",
    /^Cannot load app ".*\/app\.js": it does not parse: Expression expected at app\.js:2:19$/,
  ],
  "is not a module at all": [
    "app.py",
    "hello",
    /^Cannot load app ".*\/app\.py": it throws on import: ReferenceError: /,
  ],
  "throws": [
    "app.ts",
    'throw new Error("no licence\\nsecond line")',
    /^Cannot load app ".*\/app\.ts": it throws on import: Error: no licence$/,
  ],
  "throws what is no error": ["app.ts", "throw 7", /it throws on import: 7$/],
  "imports a file that is not there": [
    "app.ts",
    'import "./gone.ts"; export default () => {};',
    /^Cannot load app ".*": what it imports cannot be loaded: Module not found "file:.*\/gone\.ts"\. at app\.ts:1:8$/,
  ],
  "imports a name that is not there": [
    "app.js",
    'import { gone } from "node:path"; export default gone;',
    /^Cannot load app ".*": it does not parse: .*does not provide an export named 'gone'/,
  ],
  "exports nothing": [
    "app.ts",
    "export const app = () => {};",
    /^Cannot use app ".*": it has no default export, expected "export default async function app\(scope, receive, send\)"$/,
  ],
  "exports a number": [
    "app.ts",
    "export default 7;",
    /^Cannot use app ".*": its default export is no function, expected /,
  ],
};

for (const [what, [name, source, message]] of Object.entries(MISTAKES)) {
  Deno.test(`loadApp() says so when the file ${what}`, async () => {
    await withFile(name, source, async (file) => {
      await assert.rejects(loadApp(file), { message });
    });
  });
}

Deno.test("loadApp() loads TypeScript and JavaScript, imports of their own included", async () => {
  const typescript = `
    import type { App } from "./nowhere.ts";
    import { basename } from "node:path";
    const name: string = basename("/a/b");
    export default (function app() { return name; }) satisfies App as unknown;
  `;
  for (const [name, source] of [["app.ts", typescript], ["app.mjs", "export default () => 'b';"]] as const) {
    await withFile(name, source, async (file) => {
      const { app } = await loadApp(file);
      assert.equal((app as () => unknown)(), "b");
    });
  }
});

Deno.test("loadApp() loads a file once for each version of it", async () => {
  await withFile("app.ts", source(1), async (file) => {
    const [first, again] = [await loadApp(file), await loadApp(file)];
    assert.equal(first.app, again.app);
    assert.equal(first.version, readVersion(file));
    await Deno.writeTextFile(file, source(2));
    const second = await loadApp(file);
    assert.notEqual(second.version, first.version);
    assert.equal((second.app as () => unknown)(), 2);
    assert.equal((first.app as () => unknown)(), 1, "the old one still works");
  });
});

Deno.test("loadApp() tries a file again that failed, because what it needed may be there now", async () => {
  const needs = 'Deno.readTextFileSync(new URL("./policy.txt", import.meta.url)); export default () => 1;';
  await withFile("app.ts", needs, async (file) => {
    await assert.rejects(loadApp(file), /it throws on import: NotFound/);
    await Deno.writeTextFile(join(file, "..", "policy.txt"), "");
    const { app } = await loadApp(file);
    assert.equal((app as () => unknown)(), 1);
  });
});

Deno.test("loadApp() does not run another version than the one that was read, but goes on with one it has", async () => {
  await withFile("app.ts", source(1), async (file) => {
    const files = new Snapshot();
    files.read(file);
    await Deno.writeTextFile(file, "throw new Error('not this one')");
    await assert.rejects(loadApp(file, files), /Cannot load app ".*": it has changed since it was read/);
    await Deno.writeTextFile(file, source(1));
    await loadApp(file, files);
    await Deno.writeTextFile(file, source(2));
    const { app } = await loadApp(file, files);
    assert.equal((app as () => unknown)(), 1);
  });
});

Deno.test("loadApp() takes a path with characters that mean something in a URL", async () => {
  await withFile("a p#p?%41.ts", source(1), async (file) => {
    assert.equal(((await loadApp(file)).app as () => unknown)(), 1);
  });
});

function source(value: number): string {
  return `export default () => ${value};`;
}

async function withFile(
  name: string,
  source: string | null,
  use: (file: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "pgtls-app-" });
  try {
    const file = join(dir, name);
    if (source !== null) await Deno.writeTextFile(file, source);
    await use(file);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}
