/**
 * Writes the JSON Schema of the configuration file, for editors: `deno run -A tools/generate_schema.ts`.
 *
 * The source is `src/config/schema.ts`; a test fails while the written file differs from it.
 */

import { z } from "zod";
import { configSchema } from "../src/config/schema.ts";

/** The text of `config/pgtls.schema.json`: draft 7, which TOML editors read, of the file as written. */
export function renderSchema(): string {
  const { $schema, ...schema } = z.toJSONSchema(configSchema, { io: "input", target: "draft-7" });
  return JSON.stringify({ $schema, title: "pgtls configuration", ...schema }, null, 2) + "\n";
}

if (import.meta.main) {
  Deno.writeTextFileSync(new URL("../config/pgtls.schema.json", import.meta.url), renderSchema());
}
