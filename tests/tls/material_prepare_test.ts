/** Reading a route's CA bundles bit by bit changes how long anybody waits, and nothing else. */
import assert from "node:assert/strict";
import { basename } from "node:path";
import { parse as parseToml } from "smol-toml";
import { parseConfig } from "../../src/config/parse.ts";
import type { FileContent } from "../../src/config/read_file.ts";
import type { FileReader } from "../../src/config/snapshot.ts";
import type { RouteConfig } from "../../src/config/types.ts";
import { MaterialLoader } from "../../src/tls/material.ts";
import { makeCa } from "../support/pki.ts";
import { client, CONFIG, server } from "./material_support.ts";

const cas = Array.from({ length: 4 }, (_, i) => makeCa({ name: `CA ${i}` }));
const bundle = (...indexes: readonly number[]) => indexes.map((i) => cas[i]!.certPem).join("");

Deno.test("MaterialLoader.prepare rests after each bundle's PEM and after each certificate", async () => {
  const loader = new MaterialLoader();
  const rests = await prepare(
    loader,
    filesWith({ "client-ca.pem": bundle(0, 1, 2), "backend-ca.pem": bundle(3) }),
  );
  assert.equal(rests, 4 + 2);
});

Deno.test("MaterialLoader.route returns the same with and without prepare", async () => {
  const files = filesWith({ "client-ca.pem": bundle(0, 1), "backend-ca.pem": bundle(1, 2) });
  const [plain, prepared] = [new MaterialLoader(), new MaterialLoader()];
  await prepare(prepared, files);
  const [one, other] = [plain, prepared].map((loader) => loader.route(ROUTE, { files }));
  assert.deepEqual(one, other);
  assert.ok(one!.ok);
});

Deno.test("MaterialLoader.prepare does not read again what there is a trust store of", async () => {
  const loader = new MaterialLoader();
  const files = filesWith({ "client-ca.pem": bundle(0, 1), "backend-ca.pem": bundle(2) });
  assert.ok(loader.route(ROUTE, { files }).ok);
  assert.equal(await prepare(loader, files), 0);
});

Deno.test("MaterialLoader.prepare leaves what is wrong with a bundle to route, which says it once", async () => {
  const broken = cas[1]!.certPem.replace(/\n.{8}/, "\nAAAAAAAA");
  const bundles = { missing: null, empty: "", "no PEM": "x", "a broken certificate": bundle(0) + broken };
  for (const [name, text] of Object.entries(bundles)) {
    const loader = new MaterialLoader();
    const files = filesWith({ "client-ca.pem": text, "backend-ca.pem": bundle(2) });
    await prepare(loader, files);
    const loading = loader.route(ROUTE, { files });
    assert.ok(!loading.ok, name);
    assert.deepEqual(loading.problems.map(({ path }) => path), ["proxy[0].listener.client_ca"], name);
  }
});

/** @returns How often it has rested. */
async function prepare(loader: MaterialLoader, files: FileReader): Promise<number> {
  let rests = 0;
  const rest = () => {
    rests++;
    return Promise.resolve();
  };
  await loader.prepare(ROUTE, { files, rest });
  return rests;
}

/** Good files for {@linkcode ROUTE} with these bundles; `null`: it is missing. Each file is always the same object. */
function filesWith(bundles: Readonly<Record<string, string | null>>): FileReader {
  const texts: Readonly<Record<string, string | null>> = {
    "server.pem": server.chainPem,
    "server.key": server.keyPem,
    "proxy.pem": client.certPem,
    "proxy.key": client.keyPem,
    ...bundles,
  };
  const found = new Map<string, FileContent>();
  for (const [name, text] of Object.entries(texts)) {
    if (text !== null) found.set(name, { bytes: new TextEncoder().encode(text), mode: 0o600, uid: 0 });
  }
  const read = (path: string) => {
    const content = found.get(basename(path));
    if (content === undefined) throw new Error(`Cannot read file "${path}": it does not exist`);
    return content;
  };
  return { read };
}

const ROUTE: RouteConfig = parseConfig(parseToml(CONFIG), { file: "/etc/pgtls/pgtls.toml" }).routes[0]!;
