/** For the tests of material: a configuration whose files are all right, and what is said when some are replaced. */

import assert from "node:assert/strict";
import type { KeyObject } from "node:crypto";
import { join } from "node:path";
import process from "node:process";
import { parse as parseToml } from "smol-toml";
import { parseConfig } from "../../src/config/parse.ts";
import { Snapshot } from "../../src/config/snapshot.ts";
import type { Config } from "../../src/config/types.ts";
import { ConfigError, formatProblem, type Problem } from "../../src/errors.ts";
import { type ListenerMaterial, MaterialLoader, type RouteMaterial } from "../../src/tls/material.ts";
import { makeCa } from "../support/pki.ts";

export const root = makeCa({ name: "Root" });
export const intermediate = root.issueCa({ name: "Intermediate" });
export const server = intermediate.issue({ name: "Server", purpose: "server", sans: ["localhost"] });
export const client = root.issue({ name: "Client", purpose: "client" });
export const other = makeCa({ name: "Other" });

/** What every test starts from: all of it is right. */
const GOOD: Readonly<Record<string, string>> = {
  "server.pem": server.chainPem,
  "server.key": server.keyPem,
  "client-ca.pem": root.certPem,
  "backend-ca.pem": other.certPem + root.certPem,
  "proxy.pem": client.certPem,
  "proxy.key": client.keyPem,
};

/** Options of {@linkcode load}. */
export interface Options {
  readonly config?: string;
  readonly now?: number;
  readonly modes?: Readonly<Record<string, number>>;
  /** Read the files as a user who is not root. */
  readonly nobody?: boolean;
}

type Files = Readonly<Record<string, string | Uint8Array | null>>;

/** The material of a whole configuration. */
export interface Material {
  readonly routes: readonly RouteMaterial[];
  readonly admin: ListenerMaterial | null;
  readonly warnings: readonly Problem[];
}

/** Loads every part of a configuration. */
export function loadMaterial(config: Config, options: { readonly now?: number } = {}): Material {
  const loader = new MaterialLoader();
  const source = { ...options, files: new Snapshot() };
  const admin = config.admin === null ? null : loader.admin(config.admin, source);
  const routes = config.routes.map((route) => loader.route(route, source));
  const loadings = admin === null ? routes : [admin, ...routes];
  const problems = loadings.flatMap((loading) => loading.ok ? [] : loading.problems);
  if (problems.length > 0) throw new ConfigError(config.file, problems);
  return {
    routes: routes.flatMap((loading) => loading.ok ? [loading.value] : []),
    admin: admin?.ok ? admin.value : null,
    warnings: loadings.flatMap((loading) => loading.ok ? loading.warnings : []),
  };
}

/** Loads the good files with some replaced (`null`: absent). */
export function load(changed: Files = {}, options: Options = {}): Material {
  const folder = Deno.makeTempDirSync();
  try {
    Deno.chmodSync(folder, 0o755);
    for (const [name, content] of Object.entries({ ...GOOD, ...changed })) {
      if (content === null) continue;
      const path = join(folder, name);
      Deno.writeFileSync(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
      Deno.chmodSync(path, options.modes?.[name] ?? (name.endsWith(".key") ? 0o600 : 0o644));
      if (options.nobody && process.getuid?.() === 0) Deno.chownSync(path, NOBODY, NOBODY);
    }
    const config = parseConfig(parseToml(options.config ?? CONFIG), { file: join(folder, "pgtls.toml") });
    const now = options.now === undefined ? {} : { now: options.now };
    return options.nobody ? asNobody(() => loadMaterial(config, now)) : loadMaterial(config, now);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** The same, with problems and warnings as lines and the temporary folder left out. */
export function attempt(changed: Files, options: Options = {}): { problems: string[]; warnings: string[] } {
  try {
    return { problems: [], warnings: load(changed, options).warnings.map(shorten) };
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return { problems: error.problems.map(shorten), warnings: [] };
  }
}

export function problems(changed: Files, options: Options = {}): string[] {
  return attempt(changed, options).problems;
}

export function shorten(problem: Parameters<typeof formatProblem>[0]): string {
  const text = formatProblem(problem).trim();
  return text.replaceAll(
    new RegExp(`"${RegExp.escape(TEMPORARY)}/[^/"]+(?:/([^"]+))?"`, "g"),
    (_, name) => `"${name ?? "."}"`,
  );
}

function asNobody<Value>(action: () => Value): Value {
  if (process.geteuid?.() !== 0) return action();
  process.seteuid?.(NOBODY);
  try {
    return action();
  } finally {
    process.seteuid?.(0);
  }
}

export function pkcs8Of(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}

/** A key as PKCS#8 and, where there is one, in the older form of its kind. */
export function encodings(key: KeyObject): string[] {
  if (key.asymmetricKeyType === "ed25519") return [pkcs8Of(key)];
  return [pkcs8Of(key), openssl(["pkey", "-traditional"], pkcs8Of(key))];
}

export function pem(label: string, base64: string): string {
  return `-----BEGIN ${label}-----\n${base64}\n-----END ${label}-----\n`;
}

/** What `openssl x509 -req` makes when it is given no extensions. */
export function version1(): { certPem: string; keyPem: string } {
  const keyPem = openssl(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
  return withFiles({ "k": keyPem }, (folder) => {
    const request = openssl(["req", "-new", "-key", join(folder, "k"), "-subj", "/CN=v1"]);
    const options = ["x509", "-req", "-signkey", join(folder, "k"), "-days", "30"];
    return { certPem: openssl(options, request), keyPem };
  });
}

/** A CRL that revokes nothing and runs out in 7 days. */
export function emptyCrl(ca: { certPem: string; keyPem: string }): string {
  return withFiles({ "cert": ca.certPem, "key": ca.keyPem, "db": "" }, (folder) => {
    const settings =
      `[ca]\ndefault_ca = d\n[d]\ndatabase = ${folder}/db\ndefault_md = sha256\ncrlnumber = ${folder}/number\n` +
      "default_crl_days = 7\ncrl_extensions = e\n[e]\nauthorityKeyIdentifier = keyid\n";
    Deno.writeTextFileSync(join(folder, "conf"), settings);
    Deno.writeTextFileSync(join(folder, "number"), "01\n");
    const [conf, cert, key] = ["conf", "cert", "key"].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    return openssl(["ca", "-gencrl", "-config", conf, "-cert", cert, "-keyfile", key]);
  });
}

function withFiles<Value>(files: Readonly<Record<string, string>>, action: (folder: string) => Value): Value {
  const folder = Deno.makeTempDirSync();
  try {
    for (const [name, content] of Object.entries(files)) Deno.writeTextFileSync(join(folder, name), content);
    return action(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

export function openssl(args: string[], input = ""): string {
  return withFiles({ input }, (folder) => {
    const source = input === "" ? [] : ["-in", join(folder, "input")];
    const { success, stdout, stderr } = new Deno.Command("openssl", {
      args: [...args, ...source],
      stdin: "null",
    }).outputSync();
    assert.ok(success, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout);
  });
}

export const LISTENER = "proxy[0].listener.";
const NOBODY = 65_534;
const TEMPORARY = (() => {
  const folder = Deno.makeTempDirSync();
  Deno.removeSync(folder);
  return folder.slice(0, folder.lastIndexOf("/"));
})();

export const CONFIG = `
[[proxy]]
name = "orders"
[proxy.listener]
bind_address = "127.0.0.1:1111"
server_cert = "server.pem"
server_key = "server.key"
mtls = true
client_ca = "client-ca.pem"
[proxy.backend]
address = "db.internal:5432"
root_ca = "backend-ca.pem"
client_cert = "proxy.pem"
client_key = "proxy.key"
`;
