/**
 * A `deno lint` plugin: who may import whom inside `src/`. The table below is the rule; CONTRIBUTING shows it in words.
 *
 * `tests/`, `bench/` and `tools/` may import anything; nothing in `src/` may import them.
 */

const plugin: Deno.lint.Plugin = { name: "pgtls", rules: { layers: { create: checkLayers } } };

// The plugin interface of deno lint wants a default export.
export default plugin;

/** What one folder, or one file, of `src/` may import. */
interface Layer {
  /** Parts of `src/` it may import: folders or files, without `.ts`. */
  readonly values: readonly string[];
  /** Parts of which it may import types only. */
  readonly types?: readonly string[];
  /** Packages and `node:` modules; a missing pattern allows all. */
  readonly packages?: RegExp;
  /** Whether it is closed to the outside world: no `Deno`, no clock, no timers. */
  readonly pure?: boolean;
}

/** One import, export or dynamic import. */
interface Reference {
  readonly specifier: string;
  readonly isType: boolean;
}

function checkLayers(context: Deno.lint.RuleContext): Deno.lint.LintVisitor {
  const file = partOf(pathInRepository(context.filename));
  if (file === null) return {};
  const layer = layerOf(file);
  const check = (node: Deno.lint.Node, reference: Reference) => {
    const message = complaint(file, layer, reference);
    if (message !== null) context.report({ node, message });
  };
  const checkGlobal = (node: Deno.lint.Node) => {
    if (!layer.pure || node.type !== "Identifier" || !IMPURE_GLOBALS.has(node.name)) return;
    context.report({
      node,
      message: `Cannot use ${node.name} in ${file}.ts: it must stay free of I/O and clocks`,
    });
  };
  return {
    ImportDeclaration: (node) => {
      const isType = node.importKind === "type" ||
        (node.specifiers.length > 0 && node.specifiers.every(isTypeSpecifier));
      check(node, { specifier: node.source.value, isType });
    },
    ExportNamedDeclaration: (node) => {
      if (node.source) check(node, { specifier: node.source.value, isType: node.exportKind === "type" });
    },
    ExportAllDeclaration: (node) => {
      check(node, { specifier: node.source.value, isType: node.exportKind === "type" });
    },
    ImportExpression: ({ source }) => {
      if (source.type !== "Literal" || typeof source.value !== "string") return;
      check(source, { specifier: source.value, isType: false });
    },
    TSImportType: ({ argument }) => {
      if (argument.type !== "TSLiteralType" || argument.literal.type !== "Literal") return;
      check(argument, { specifier: String(argument.literal.value), isType: true });
    },
    MemberExpression: (node) => checkGlobal(node.object),
    CallExpression: (node) => checkGlobal(node.callee),
    NewExpression: (node) => {
      if (node.arguments.length === 0) checkGlobal(node.callee);
    },
  };
}

function isTypeSpecifier(specifier: Deno.lint.ImportDeclaration["specifiers"][number]): boolean {
  return specifier.type === "ImportSpecifier" && specifier.importKind === "type";
}

/** Why `file` may not import it, or `null`. */
function complaint(file: string, layer: Layer, { specifier, isType }: Reference): string | null {
  const from = `Cannot import "${specifier}" in ${file}.ts`;
  if (!specifier.startsWith(".")) {
    return layer.packages && !layer.packages.test(specifier)
      ? `${from}: this package is not for this layer`
      : null;
  }
  const path = resolve(`src/${file}`, specifier);
  if (!/\.tsx?$/.test(path)) return null;
  const target = partOf(path);
  if (target === null) {
    return path === "main.ts" ? `${from}: nobody imports main.ts` : `${from}: src imports only src`;
  }
  if (isStage(target) && file.startsWith("connection/") && file !== PIPELINE && !isType) {
    return `${from}: only ${PIPELINE}.ts calls stages, everybody else may import their types`;
  }
  if (layer.values.some((part) => covers(part, target))) return null;
  if (!layer.types?.some((part) => covers(part, target))) return `${from}: this layer may not depend on it`;
  return isType ? null : `${from}: this layer may import types only from it`;
}

/** The part of `src/` a repository path is, without `.ts`; `null` outside of `src/`. */
function partOf(path: string): string | null {
  return path.startsWith("src/") ? path.slice("src/".length).replace(/\.tsx?$/, "") : null;
}

function pathInRepository(filename: string): string {
  const path = filename.replaceAll("\\", "/");
  return path.startsWith(ROOT) ? path.slice(ROOT.length) : path;
}

function resolve(from: string, specifier: string): string {
  return new URL(specifier, `file:///${from}`).pathname.slice(1);
}

/** The most specific entry of the table. A folder nobody wrote down may import nothing, so that somebody does. */
function layerOf(file: string): Layer {
  for (let part = file; part !== ""; part = part.slice(0, Math.max(0, part.lastIndexOf("/")))) {
    const layer = LAYERS[part];
    if (layer !== undefined) return layer;
  }
  return { values: [file.split("/")[0]!, "errors"] };
}

function covers(part: string, target: string): boolean {
  return part === "*"
    ? !BELOW_CLI.has(target.split("/")[0] ?? "")
    : target === part || target.startsWith(`${part}/`);
}

function isStage(target: string): boolean {
  return target.startsWith("connection/") && STAGES.has(target.slice("connection/".length));
}

const ROOT = decodeURIComponent(new URL("../", import.meta.url).pathname);

const PIPELINE = "connection/pipeline";

/** What `"*"` does not cover: the command line is for main.ts alone, the demo for the command line. */
const BELOW_CLI: ReadonlySet<string> = new Set(["cli", "demo"]);

const STAGES: ReadonlySet<string> = new Set([
  "listen",
  "read_proxy_header",
  "negotiate",
  "choose_route",
  "handshake",
  "verify",
  "identify",
  "startup",
  "authorize",
  "connect_backend",
  "forward_cancel",
  "authenticate",
  "relay",
]);

const IMPURE_GLOBALS: ReadonlySet<string> = new Set([
  "Date",
  "Deno",
  "Worker",
  "console",
  "crypto",
  "fetch",
  "performance",
  "process",
  "queueMicrotask",
  "setImmediate",
  "setInterval",
  "setTimeout",
]);

const NO_PACKAGES = /^$/;

/** Everything but sockets. */
const NO_SOCKETS = /^(?!(node:)?(net|tls|dgram|http|https|http2)$)/;

const LAYERS: Readonly<Record<string, Layer>> = {
  errors: { values: [], packages: NO_PACKAGES, pure: true },
  ip_address: { values: [], packages: NO_PACKAGES, pure: true },
  printable: { values: [], packages: NO_PACKAGES, pure: true },
  version: { values: [], packages: NO_PACKAGES, pure: true },
  pace: { values: [], packages: NO_PACKAGES },
  wire: { values: ["wire", "errors", "ip_address"], packages: NO_PACKAGES, pure: true },
  // node:path only computes, and files are read by two modules alone.
  config: { values: ["config", "errors", "ip_address"], packages: /^(zod|node:path)$/, pure: true },
  "config/types": { values: [], packages: NO_PACKAGES, pure: true },
  "config/load": { values: ["config", "errors"], packages: /^(smol-toml|node:path)$/ },
  "config/read_file": { values: [], packages: /^node:(fs|buffer)$/ },
  "config/snapshot": { values: ["config/read_file"], packages: /^node:buffer$/ },
  tls: {
    values: ["tls", "errors", "ip_address", "config/snapshot"],
    types: ["config/types", "config/read_file", "observe/events"],
  },
  scope: {
    values: [
      "scope",
      "errors",
      "ip_address",
      "printable",
      "tls/record",
      "tls/name_text",
      "observe/log_writer",
    ],
    types: ["tls", "config/types"],
    packages: NO_SOCKETS,
  },
  "scope/types": { values: [], types: ["tls/record"], packages: NO_PACKAGES, pure: true },
  "scope/load_app": { values: ["scope", "errors", "config/snapshot"], packages: NO_SOCKETS },
  limits: { values: ["limits", "ip_address"], packages: /^node:crypto$/ },
  // A password file is read like a certificate: bounded, and once a load.
  auth: {
    values: ["auth", "wire", "errors", "limits"],
    types: ["config/types", "config/read_file", "config/snapshot", "tls"],
    packages: NO_SOCKETS,
  },
  connection: {
    values: ["connection", "wire", "tls", "scope", "auth", "errors", "ip_address", "limits"],
    types: ["config/types", "observe/events"],
  },
  observe: {
    values: ["observe", "errors", "printable", "version", "tls/certificate_text", "tls/record"],
    types: ["config/types", "pace", "tls"],
  },
  // Its TLS is the listeners' own: accepted, verified and described by the same code.
  admin: {
    values: [
      "admin",
      "observe",
      "scope",
      "errors",
      "printable",
      "version",
      "config/address",
      "tls/acceptor",
      "tls/certificate_names",
      "tls/peer",
      "tls/record",
      "tls/verify",
    ],
    types: ["config/types", "tls"],
  },
  // Runs in a browser: whatever it needs of the rest it asks for by HTTP.
  "admin/page": {
    values: ["admin/page", "printable"],
    types: ["errors"],
    packages: /^preact(\/hooks)?$/,
  },
  workers: {
    values: [
      "workers",
      "errors",
      "config/address",
      "connection/collect",
      "connection/descriptors",
      "connection/places",
      "limits/limits",
      "observe/connections",
      "server/bind_problem",
      "server/listener_events",
      "server/listener_key",
    ],
    types: ["config", "load_parts", "observe", "server/serving", "tls"],
  },
  // A whole isolate is put together here, as in proxy.ts.
  "workers/worker": { values: ["*"] },
  systemd: { values: ["systemd"], packages: NO_PACKAGES },
  demo: { values: ["demo", "errors"], types: ["*"] },
  backend_probes: { values: ["connection", "errors"], types: ["config/types", "tls"] },
  load: {
    values: ["load_parts", "config/load", "config/snapshot", "errors"],
    types: ["config/types", "tls/material"],
    packages: NO_PACKAGES,
  },
  // Workers have their configuration from the main isolate, and do not load what it takes to read one.
  load_parts: {
    values: [
      "config/files",
      "tls/material",
      "auth/logins",
      "tls/path/system_roots",
      "scope/load_app",
      "errors",
    ],
    types: ["config/types", "config/snapshot", "scope/types", "auth"],
    packages: NO_PACKAGES,
  },
  reload: {
    values: [
      "reload",
      "load_parts",
      "pace",
      "config/files",
      "config/snapshot",
      "config/route_conflicts",
      "observe/reload_state",
      "observe/warnings",
      "errors",
    ],
    types: ["config/types", "load", "observe", "tls/material"],
    packages: /^node:fs\/promises$/,
  },
  proxy: { values: ["*"] },
  server: { values: ["*"] },
  cli: { values: ["*", "cli", "demo"] },
};
