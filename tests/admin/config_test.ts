import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { parse } from "smol-toml";
import { configEndpoint } from "../../src/admin/endpoints/config.ts";
import type { Question } from "../../src/admin/router.ts";
import { loadConfig } from "../../src/config/load.ts";

const FILE = fileURLToPath(new URL("../../config/pgtls.toml", import.meta.url));

Deno.test("/config has every key of a file that uses all of them, with the values as the file writes them", async () => {
  const config = loadConfig(FILE);
  const answer = await configEndpoint(() => config).GET!({} as Question);
  compare("", parse(await Deno.readTextFile(FILE)), JSON.parse(String(answer.body)));
});

/** What `written` says must be in `shown`; file names have become absolute there, durations numbers. */
function compare(path: string, written: unknown, shown: unknown): void {
  if (Array.isArray(written)) {
    assert.ok(Array.isArray(shown), path);
    return written.forEach((each, i) => compare(`${path}[${i}]`, each, shown[i]));
  }
  if (typeof written === "object" && written !== null) {
    for (const [key, inner] of Object.entries(written)) {
      const table = shown as Record<string, unknown>;
      if (`${key}_ms` in table) assert.equal(typeof table[`${key}_ms`], "number", `${path}.${key}`);
      else compare(`${path}.${key}`, inner, table[key]);
    }
    return;
  }
  // A single text may stand where a list may.
  const [found] = Array.isArray(shown) ? shown : [shown];
  const isFile = typeof found === "string" && found.startsWith("/") && found.endsWith(`/${written}`);
  assert.ok(
    isFile || found === written,
    `${path}: ${JSON.stringify(written)} is shown as ${JSON.stringify(found)}`,
  );
}
