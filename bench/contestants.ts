/** Who is measured: a proxy process for each contestant, started the way its users start it. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "smol-toml";
import { freePort } from "../src/demo/ports.ts";
import { type ServerCommand, ServerProcess } from "./process.ts";
import type { Target } from "./programs.ts";
import type { Stage } from "./stage.ts";

/** What is behind the proxy: which PostgreSQL, and how many CAs are trusted to vouch for it. */
export type BackendKind = "plaintext" | "one_ca" | "many_cas";

/** A proxy that can be started, again and again. */
export interface Proxy {
  readonly name: string;
  start(backend: BackendKind): Promise<ServerProcess>;
}

/** How the clients of every proxy connect. */
export function throughTls(server: ServerProcess): Target {
  return { port: server.port, sslmode: "require" };
}

/** pgtls of this tree, pgtls of the other trees asked for, and stunnel if there is one. */
export function proxies(stage: Stage): readonly Proxy[] {
  const { also, programs: { stunnel } } = stage;
  return [
    pgtlsOfThisTree(stage, PGTLS),
    ...also.map((main, i) =>
      pgtls(stage, also.length === 1 ? "pgtls (other)" : `pgtls (other ${i + 1})`, { main })
    ),
    ...(stunnel === null ? [] : [stunnelProxy(stage, stunnel)]),
  ];
}

/** The names by which figures compare. */
export const PGTLS = "pgtls";
export const STUNNEL = "stunnel";
export const DIRECT = "direct";

/** pgtls of this tree; with an admin server on `adminPort` if there is to be one. */
export function pgtlsOfThisTree(stage: Stage, name: string, adminPort?: number): Proxy {
  const admin = adminPort === undefined ? {} : { admin: { bind_address: local(adminPort) } };
  return pgtls(stage, name, { main: MAIN, tables: admin });
}

function pgtls(
  stage: Stage,
  name: string,
  { main, tables = {} }: { readonly main: string; readonly tables?: Readonly<Record<string, unknown>> },
): Proxy {
  return {
    name,
    start: async (backend) => {
      const port = freePort();
      const text = stringify({ ...tables, proxy: [pgtlsRoute(stage, backend, port)] });
      const file = await writeFile(stage, `pgtls-${port}.toml`, text);
      return await ServerProcess.start(pgtlsCommand(main, file, port));
    },
  };
}

/** The permissions are those of `deno task start`. */
function pgtlsCommand(main: string, file: string, port: number): ServerCommand {
  const permissions = ["net", "read", "write", "env", "sys", "run"].map((name) => `--allow-${name}`);
  return { command: Deno.execPath(), args: ["run", ...permissions, main, "run", "-c", file], port };
}

function pgtlsRoute(
  { files, plain, tls }: Stage,
  backend: BackendKind,
  port: number,
): Record<string, unknown> {
  const { serverCert, serverKey, oneCa, manyCas } = files;
  const listener = { bind_address: `127.0.0.1:${port}`, server_cert: serverCert, server_key: serverKey };
  if (backend === "plaintext") {
    return { listener, backend: { address: `127.0.0.1:${plain.port}`, tls_enabled: false } };
  }
  const root_ca = backend === "one_ca" ? oneCa : manyCas;
  return { listener, backend: { address: `127.0.0.1:${tls.port}`, server_name: "localhost", root_ca } };
}

function stunnelProxy(stage: Stage, program: string): Proxy {
  return {
    name: STUNNEL,
    start: async (backend) => {
      const port = freePort();
      const file = await writeFile(stage, `stunnel-${port}.conf`, stunnelServices(stage, backend, port));
      return await ServerProcess.start({ command: program, args: [file], port });
    },
  };
}

/** Towards a TLS backend it takes two services, one for each leg, joined by a plaintext connection on loopback. */
function stunnelServices({ files, plain, tls }: Stage, backend: BackendKind, port: number): string {
  const { serverCert, serverKey, oneCa, manyCas } = files;
  const middle = backend === "plaintext" ? plain.port : freePort();
  const global = { foreground: "yes", pid: "" };
  const front = {
    accept: local(port),
    connect: local(middle),
    protocol: "pgsql",
    cert: serverCert,
    key: serverKey,
  };
  const back = {
    client: "yes",
    accept: local(middle),
    connect: local(tls.port),
    protocol: "pgsql",
    CAfile: backend === "one_ca" ? oneCa : manyCas,
    verifyChain: "yes",
    checkHost: "localhost",
  };
  const services = backend === "plaintext" ? { front } : { back, front };
  const sections = Object.entries(services).map(([name, keys]) => `[${name}]\n${settings(keys)}`);
  return [settings(global), ...NO_DELAY, ...sections, ""].join("\n");
}

function settings(keys: Readonly<Record<string, string>>): string {
  return Object.entries(keys).map(([name, value]) => `${name} = ${value}`).join("\n");
}

function local(port: number): string {
  return `127.0.0.1:${port}`;
}

async function writeFile(stage: Stage, name: string, text: string): Promise<string> {
  const path = join(stage.dir, name);
  await Deno.writeTextFile(path, text);
  return path;
}

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));

// What pgtls does on its sockets by itself.
const NO_DELAY = ["socket = l:TCP_NODELAY=1", "socket = r:TCP_NODELAY=1"];
