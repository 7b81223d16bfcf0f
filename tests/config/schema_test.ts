import assert from "node:assert/strict";
import { parse as parseToml } from "smol-toml";
import { loadConfig } from "../../src/config/load.ts";
import { suggest } from "../../src/config/suggest.ts";
import { renderSchema } from "../../tools/generate_schema.ts";

Deno.test("pgtls.schema.json is what tools/generate_schema.ts writes", () => {
  assert.equal(
    read("config/pgtls.schema.json"),
    renderSchema(),
    "stale: run deno run -A tools/generate_schema.ts",
  );
});

Deno.test("pgtls.schema.json describes every key, and closes every table", () => {
  for (const { path, schema } of nodes()) assert.ok(schema.description, path);
  const tables = [root(), ...nodes().map(({ schema }) => schema.items ?? schema)].filter(({ properties }) =>
    properties
  );
  assert.equal(tables.length, 7);
  for (const table of tables) assert.equal(table.additionalProperties, false);
});

Deno.test("pgtls.toml loads", () => {
  assert.equal(loadConfig(pathOf("config/pgtls.toml")).routes[0]?.name, "orders");
});

Deno.test("pgtls.toml shows every key, and every default that it comments out is the real one", () => {
  // With the comment marks of "# key = value" taken off, the whole file is TOML with every key in it.
  const full = parseToml(read("config/pgtls.toml").replace(COMMENTED, "$1"));
  const commented = [...read("config/pgtls.toml").matchAll(COMMENTED)].map(([, , key]) => key);
  assert.ok(commented.length > 10);
  for (const { path, schema } of nodes()) {
    const shown = valueAt(full, path);
    assert.notEqual(shown, undefined, path);
    const key = path.split(".").at(-1);
    if (schema.default !== undefined && commented.includes(key) && !path.startsWith("admin")) {
      assert.deepEqual(shown, schema.default, path);
    }
  }
});

Deno.test("minimal.toml loads and has ten lines", () => {
  assert.equal(loadConfig(pathOf("config/minimal.toml")).routes.length, 1);
  assert.equal(read("config/minimal.toml").trimEnd().split("\n").length, 10);
});

Deno.test("configuration.md has a row for every key, with its default", () => {
  const rows = new Map(
    [...read("docs/configuration.md").matchAll(/^\| *`([\w.]+)` *\| *([^|]+?) *\|/gm)].map((
      [, key, value],
    ) => [key, value]),
  );
  const paths = nodes().map(({ path }) => path);
  assert.deepEqual([...rows.keys()].sort(), paths.toSorted());
  for (const { path, schema } of nodes()) {
    if (schema.default !== undefined) {
      assert.equal(rows.get(path), `\`${JSON.stringify(schema.default)}\``, path);
    }
  }
});

Deno.test("suggest finds the nearest word and nothing when none is near", () => {
  const known = ["client_ca", "client_crl", "server_cert"];
  assert.equal(suggest("clientca", known), "client_ca");
  assert.equal(suggest("Server-Cert", known), "server_cert");
  assert.equal(suggest("banana", known), null);
  assert.equal(suggest("x".repeat(1_000_000), known), null);
});

interface SchemaNode {
  readonly description?: string;
  readonly default?: unknown;
  readonly items?: SchemaNode;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: boolean;
}

function root(): SchemaNode {
  return JSON.parse(renderSchema());
}

/** Every key of the schema with its path, `proxy.listener.mtls`. */
function nodes(): { path: string; schema: SchemaNode }[] {
  return below(root(), "");
}

function below(table: SchemaNode, prefix: string): { path: string; schema: SchemaNode }[] {
  return Object.entries(table.properties ?? {}).flatMap(([key, schema]) => {
    const path = `${prefix}${key}`;
    return [{ path, schema }, ...below(schema.items ?? schema, `${path}.`)];
  });
}

function valueAt(value: unknown, path: string): unknown {
  for (const key of path.split(".")) {
    const table = Array.isArray(value) ? value[0] : value;
    value = (table as Record<string, unknown> | undefined)?.[key];
  }
  return value;
}

function read(name: string): string {
  return Deno.readTextFileSync(pathOf(name));
}

function pathOf(name: string): string {
  return decodeURIComponent(new URL(`../../${name}`, import.meta.url).pathname);
}

/** A line such as `# log_level = "info"`. */
const COMMENTED = /^# ((\w+) = (?:"[^"]*"|\[[^\]]*\]|\w+))$/gm;
